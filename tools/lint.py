#!/usr/bin/python3
"""lint.py [CHECK...]: the checks on the sources themselves; all of them unless named.

Prints what is wrong, then one line a check. What clang-tidy found clean is remembered by
content under build/lint, so that only what changed is looked at again.
"""
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
CACHE = BUILD / "lint"


def files(*patterns):
    return sorted(str(f.relative_to(TOP)) for p in patterns for f in TOP.glob(p) if f.is_file())


def run(*command, text=""):
    """Returns whether the command, given the text, worked, and all that it wrote."""
    done = subprocess.run(command, cwd=TOP, text=True, input=text,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode == 0, done.stdout


def each(function, items):
    """Calls function(item), which returns (good, text), on all cores; joins the answers."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(function, items))
    return all(good for good, _ in answers), "".join(text for good, text in answers if not good)


def check_format():
    """clang-format: `make format` mends it"""
    good, text = run("clang-format-14", "--dry-run", "-Werror",
                     *files("src/**/*.[ch]", "tests/**/*.[ch]"))
    places = re.findall(r"^(.*?):(\d+):\d+: error: code should be clang-formatted", text, re.M)
    first = {file: line for file, line in reversed(places)}
    told = "".join(f"{file}:{first[file]}: not formatted\n" for file in sorted(first))
    return good, told or text


def compile_commands():
    """The command of each source file, from the build, without its output options."""
    commands = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8")):
        file = Path(entry["directory"], entry["file"]).resolve()
        commands[file.relative_to(TOP).as_posix()] = shlex.split(entry["command"])
    return commands


def content_key(file, command):
    """A hash of all that clang-tidy's answer on the file can depend on."""
    flags = [a for a in command if a.startswith(("-I", "-D", "-std"))]
    # -MG: a header that is not found (AWS-LC's) is listed by name
    good, listed = run("clang-14", "-MM", "-MG", *flags, "-Isrc", file)
    if not good:
        return None
    key = hashlib.sha256(" ".join(command).encode())
    for name in [*files(".clang-tidy", "src/**/.clang-tidy"), *listed.replace("\\\n", " ").split()[1:]]:
        key.update(name.encode() + b"\0")
        if (TOP / name).is_file():
            key.update((TOP / name).read_bytes())
    return key.hexdigest()


def check_tidy():
    """clang-tidy (.clang-tidy)"""
    commands = compile_commands()
    sources = files("src/**/*.c")
    unbuilt = [f for f in sources if f not in commands]
    if unbuilt:
        return False, f"not in the build: {' '.join(unbuilt)}\n"
    CACHE.mkdir(parents=True, exist_ok=True)

    def tidy(file):
        key = content_key(file, commands[file])
        if key and (CACHE / key).exists():
            return True, ""
        good, text = run("clang-tidy-14", "--quiet", "-p", str(BUILD), file)
        # Kept per file, so that what is outdated goes away.
        if good and key:
            for old in CACHE.glob("*"):
                if old.read_text(encoding="utf-8") == file:
                    old.unlink()
            (CACHE / key).write_text(file, encoding="utf-8")
        return good, re.sub(r"^\d+ warnings?.* generated\.\n", "", text, flags=re.M)

    return each(tidy, sources)


def check_headers():
    """each header compiles alone, twice over, with gcc and clang"""
    command = next(iter(compile_commands().values()))
    flags = [flag for before, flag in zip(command, command[1:])
             if flag.startswith(("-W", "-D", "-std", "-isystem")) or before == "-isystem"]

    def compile_alone(job):
        compiler, header = job
        include = f'#include "{header.removeprefix("src/")}"\n'
        return run(compiler, *flags, "-Isrc", "-fsyntax-only", "-x", "c", "-",
                   text=include + include + "extern int more;\n")

    return each(compile_alone, [(c, h) for h in files("src/**/*.h") for c in ("gcc", "clang-14")])


def check_layers():
    """tools/layers.py"""
    return run(sys.executable, "tools/layers.py", "src")


def check_shell():
    """shellcheck"""
    return run("shellcheck", *files("tools/*.sh", ".ci/run"))


def check_python():
    """pyflakes"""
    return run("pyflakes3", *files("tools/*.py", "tests/**/*.py"))


CHECKS = {
    "layers": check_layers,
    "format": check_format,
    "headers": check_headers,
    "shell": check_shell,
    "python": check_python,
    "tidy": check_tidy,
}


def lint(names=tuple(CHECKS)):
    """Runs the checks; returns how many passed and failed."""
    failed = 0
    for name in names:
        try:
            good, text = CHECKS[name]()
        except (OSError, ValueError, KeyError) as error:
            good, text = False, f"{error}\n"
        if not good:
            failed += 1
            print(text, end="")
        print(f"lint {name}: {'ok' if good else 'FAILED: ' + CHECKS[name].__doc__}", flush=True)
    return len(names) - failed, failed


def main():
    names = sys.argv[1:] or list(CHECKS)
    if unknown := [n for n in names if n not in CHECKS]:
        print(f"no such check: {' '.join(unknown)}; there are {' '.join(CHECKS)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(1 if lint(names)[1] else 0)


if __name__ == "__main__":
    main()
