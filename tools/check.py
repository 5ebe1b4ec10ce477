#!/usr/bin/python3
"""check.py SUITE...: runs the suites of `make check` and adds up what they say.

The last line is `N passed, N failed`, with `, N skipped` when there are any. What crashes,
runs out of time, or says nothing at all counts as failed. The exit status is 1 when
anything failed. `all` is every suite, `asan` those in the sanitizers' build.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import lint

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
ASAN = BUILD / "asan"
REPORTS = ASAN / "reports"

# What LeakSanitizer writes when its process is killed while it looks for leaks: no finding.
KILLED = re.compile(r"(==\d+==Unable to get registers from thread \d+\.\n)+")

SANITIZERS = "abort_on_error=0:print_stacktrace=1:symbolize=1"
ASAN_ENV = {
    "ASAN_OPTIONS": f"{SANITIZERS}:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": SANITIZERS,
    "ASAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-14",
}


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Tally(self.passed + other.passed, self.failed + other.failed,
                     self.skipped + other.skipped)

    def __str__(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def run(command, timeout_s, **more):
    """Runs in a process group of its own, which ends with it; returns the exit status."""
    process = subprocess.Popen([str(word) for word in command], cwd=TOP, start_new_session=True,
                               stdin=subprocess.DEVNULL, **more)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        print(f"{command[0]}: not done after {timeout_s} s", flush=True)
        return 1
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def count_cases(output):
    """Counts the cases in the TAP that a unit test wrote. One that is announced but did not
    come is a failure. None when there is no TAP in it."""
    planned = [int(n) for n in re.findall(r"^1\.\.(\d+)$", output, re.M)]
    if not planned:
        return None
    tally = Tally()
    for bad, skip in re.findall(r"^(not )?ok \d+\b[^#\n]*(# SKIP)?", output, re.M):
        if skip:
            tally.skipped += 1
        elif bad:
            tally.failed += 1
        else:
            tally.passed += 1
    seen = tally.passed + tally.failed + tally.skipped
    tally.failed += max(0, sum(planned) - seen)
    return tally


def count_test(test):
    """Counts one entry of meson's testlog.json."""
    result = test["result"]
    tally = count_cases(test.get("stdout", ""))
    if tally is None:
        tally = Tally(passed=int(result == "OK"), skipped=int(result == "SKIP"))
    if result not in ("OK", "SKIP") and tally.failed == 0:
        tally.failed = 1
    return tally


def count_testlog(log):
    tally = Tally()
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        test = json.loads(line)
        counted = count_test(test)
        if counted.failed:
            print(f"--- {test['name']}: {test['result']}, {counted}")
            print(test.get("stdout", ""), test.get("stderr", ""), sep="", flush=True)
        tally += counted
    return tally


def count_junit(report):
    """Counts the cases of pytest's report: one that failed in its test and again in its
    clean-up is one."""
    tally = Tally()
    if not report.exists():
        return tally
    verdicts = {}
    order = {"passed": 0, "skipped": 1, "failed": 2}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        verdict = ("failed" if kinds & {"failure", "error"} else
                   "skipped" if "skipped" in kinds else "passed")
        name = (case.get("classname"), case.get("name"))
        verdicts[name] = max(verdict, verdicts.get(name, "passed"), key=order.get)
    for verdict in verdicts.values():
        setattr(tally, verdict, getattr(tally, verdict) + 1)
    return tally


def settle(tally, status, name):
    """A suite that failed without a failed test, or that has no result, is a failure."""
    if status != 0 and tally.failed == 0:
        print(f"{name}: ended with status {status}", flush=True)
        tally.failed = 1
    elif tally == Tally():
        print(f"{name}: no results", flush=True)
        tally.failed = 1
    return tally


def build_in(folder, *options, **environment):
    more = {"env": {**os.environ, **environment}}
    status = run([TOP / "tools/configure.sh", folder, *options], 600, **more)
    status = status or run(["ninja", "-C", folder], 1200, **more)
    # Nothing is proved by a build that works.
    return Tally(failed=int(status != 0))


def suite_build():
    return build_in(BUILD)


def suite_build_asan():
    return build_in(ASAN, "-Db_sanitize=address,undefined", "-Db_lundef=false", CC="clang-14")


def suite_lint():
    passed, failed = lint.lint()
    return Tally(passed, failed)


def meson_tests(folder, name, environment):
    log = folder / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    multiplier = 3 if environment else 1
    status = run(["meson", "test", "-C", folder, "--suite", name, "--no-rebuild", "--quiet",
                  "--timeout-multiplier", multiplier], 1200,
                 env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    tally = count_testlog(log)
    # meson's own status is that of its tests, and these are counted.
    return settle(tally, status if tally == Tally() else 0, name)


def pytest(folder, name, timeout_s, **environment):
    report = BUILD / f"pytest-{name}.xml"
    report.unlink(missing_ok=True)
    status = run(["/usr/bin/python3", "-m", "pytest", "-q", "-n", "auto", "--timeout", 120,
                  "-o", f"cache_dir={BUILD}/pytest", "--junitxml", report, folder], timeout_s,
                 env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment})
    return settle(count_junit(report), status, name)


def suite_unit():
    return meson_tests(BUILD, "unit", {})


def suite_fuzz():
    """The fuzz targets on their corpus."""
    return meson_tests(BUILD, "fuzz", {})


def suite_unit_asan():
    return meson_tests(ASAN, "unit", ASAN_ENV)


def suite_fuzz_asan():
    return meson_tests(ASAN, "fuzz", ASAN_ENV)


def suite_tools():
    return pytest("tests/tools", "tools", 600)


def suite_program():
    return pytest("tests/program", "program", 900, REPRISE_BIN=str(BUILD / "reprise"))


def suite_build_release():
    return Tally(failed=int(run([TOP / "tools/release.sh"], 1200) != 0))


def suite_install():
    """It lies where it was asked for, and runs."""
    with tempfile.TemporaryDirectory() as top:
        status = run(["make", "install", f"DESTDIR={top}", "PREFIX=/opt/reprise"], 300,
                     env={**os.environ, "SETUP": "no"}, stdout=subprocess.DEVNULL)
        placed = {str(file.relative_to(top)) for file in Path(top).rglob("*") if file.is_file()}
        expected = {"opt/reprise/bin/reprise", "opt/reprise/share/man/man1/reprise-run.1",
                    "opt/reprise/share/man/man5/reprise.conf.5"}
        if status == 0 and expected <= placed:
            status = run([f"{top}/opt/reprise/bin/reprise", "--version"], 10, stdout=subprocess.DEVNULL)
        else:
            print(f"install: {sorted(placed)}", flush=True)
            status = 1
    return Tally(passed=int(status == 0), failed=int(status != 0))


def suite_program_release():
    return pytest("tests/program", "program-release", 900, REPRISE_BIN=str(BUILD / "release/reprise"))


def suite_program_asan():
    """Each report counts, also of a process whose end no test looks at."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    REPORTS.chmod(0o1777)
    environment = {k: f"{v}:log_path={REPORTS}/report" if k.endswith("OPTIONS") else v
                   for k, v in ASAN_ENV.items()}
    tally = pytest("tests/program", "program-asan", 1500, REPRISE_BIN=str(ASAN / "reprise"),
                   REPRISE_SANITIZED="1", **environment)
    for report in sorted(REPORTS.iterdir()):
        text = report.read_text(errors="replace")
        print(f"--- {report}", text, sep="\n", flush=True)
        tally.failed += not KILLED.fullmatch(text)
    return tally


SUITES = {
    "build": suite_build,
    "lint": suite_lint,
    "unit": suite_unit,
    "fuzz": suite_fuzz,
    "tools": suite_tools,
    "program": suite_program,
    "build-asan": suite_build_asan,
    "unit-asan": suite_unit_asan,
    "fuzz-asan": suite_fuzz_asan,
    "program-asan": suite_program_asan,
    "build-release": suite_build_release,
    "install": suite_install,
    "program-release": suite_program_release,
}
GROUPS = {
    "all": list(SUITES),
    "asan": ["build-asan", "unit-asan", "fuzz-asan", "program-asan"],
    "lint": ["build", "lint"],
}
# A suite whose build failed can't say anything: it counts as one failure, unrun.
NEEDS = {"lint": "build", "unit": "build", "fuzz": "build", "program": "build",
         "unit-asan": "build-asan", "fuzz-asan": "build-asan", "program-asan": "build-asan",
         "install": "build-release", "program-release": "build-release"}


def check(names):
    tallies = {}
    for name in names:
        begun = time.monotonic()
        print(f"== {name}", flush=True)
        needed = tallies.get(NEEDS.get(name))
        if needed and needed.failed:
            print(f"{name}: not run, since {NEEDS[name]} failed", flush=True)
            tallies[name] = Tally(failed=1)
        else:
            tallies[name] = SUITES[name]()
        print(f"== {name}: {tallies[name]} ({time.monotonic() - begun:.0f} s)\n", flush=True)
    return tallies


def main():
    names = [name for word in sys.argv[1:] for name in GROUPS.get(word, [word])]
    if not names or set(names) - set(SUITES):
        sys.exit(f"usage: check.py SUITE...: {' '.join([*GROUPS, *SUITES])}")
    tallies = check(names)
    for name, tally in tallies.items():
        print(f"{name:<16}{tally}")
    total = sum(tallies.values(), Tally())
    print(total, flush=True)
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main()
