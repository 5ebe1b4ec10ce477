"""tools/check.py: what it adds up is what happened, and nothing that went wrong is left out."""
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tools"))

import check  # noqa: E402
from check import Tally  # noqa: E402

ALL_WELL = "1..2\nok 1 - a\nok 2 - b\n# ok - tests\n"


def test_result(result, stdout):
    return {"name": "unit", "result": result, "stdout": stdout}


test_result.__test__ = False


@pytest.mark.parametrize(
    "result, stdout, tally",
    [
        ("OK", ALL_WELL, Tally(passed=2)),
        ("FAIL", "1..3\nok 1 - a\nnot ok 2 - b\n# why\nok 3 - c\n", Tally(2, 1)),
        # cmocka 1.1.5 and later
        ("OK", "1..2\nnot ok 1 # SKIP a\nok 2 - b\n", Tally(1, 0, 1)),
        ("OK", "1..2\nok 1 # SKIP a\nok 2 - b\n", Tally(1, 0, 1)),
        # it crashed in the second of three
        ("FAIL", "1..3\nok 1 - a\n", Tally(1, 2)),
        # it left early, and said that all was well
        ("OK", "1..3\nok 1 - a\n", Tally(1, 2)),
        ("TIMEOUT", "1..2\nok 1 - a\n", Tally(1, 1)),
        # two groups in one program
        ("OK", ALL_WELL + ALL_WELL, Tally(passed=4)),
        # all cases passed, and then a sanitizer found a leak
        ("FAIL", ALL_WELL, Tally(2, 1)),
        # no TAP: the exit status counts
        ("OK", "3 files replayed\n", Tally(passed=1)),
        ("FAIL", "corpus/x\n", Tally(failed=1)),
        ("TIMEOUT", "", Tally(failed=1)),
        ("SKIP", "", Tally(skipped=1)),
        ("ERROR", "", Tally(failed=1)),
    ],
)
def test_a_unit_test_counts_by_its_cases(result, stdout, tally):
    assert check.count_test(test_result(result, stdout)) == tally


def junit(tmp_path, cases):
    report = tmp_path / "report.xml"
    report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    return check.count_junit(report)


def test_program_tests_count_by_their_cases(tmp_path):
    cases = (
        '<testcase classname="m" name="a"/>'
        '<testcase classname="m" name="b"><failure/></testcase>'
        '<testcase classname="m" name="c"><error/></testcase>'
        '<testcase classname="m" name="d"><skipped/></testcase>'
    )
    assert junit(tmp_path, cases) == Tally(1, 2, 1)


def test_a_case_that_failed_twice_is_one(tmp_path):
    cases = (
        '<testcase classname="m" name="a"><failure/></testcase>'
        '<testcase classname="m" name="a"><error/></testcase>'
        '<testcase classname="n" name="a"/>'
    )
    assert junit(tmp_path, cases) == Tally(1, 1)


def test_no_report_has_no_cases(tmp_path):
    assert check.count_junit(tmp_path / "none.xml") == Tally()
    assert check.count_testlog(tmp_path / "none.json") == Tally()


def test_a_suite_without_results_is_a_failure():
    assert check.settle(Tally(), 0, "suite") == Tally(failed=1)
    assert check.settle(Tally(), 5, "suite") == Tally(failed=1)


def test_a_suite_that_ends_badly_is_a_failure():
    assert check.settle(Tally(passed=3), 1, "suite") == Tally(3, 1)
    assert check.settle(Tally(3, 2), 1, "suite") == Tally(3, 2)
    assert check.settle(Tally(passed=3), 0, "suite") == Tally(3)


def test_a_suite_is_not_run_on_a_failed_build(monkeypatch):
    monkeypatch.setitem(check.SUITES, "build", lambda: Tally(failed=1))
    monkeypatch.setitem(check.SUITES, "unit", lambda: pytest.fail("run"))
    assert check.check(["build", "unit"]) == {"build": Tally(failed=1), "unit": Tally(failed=1)}


def has_ended(stat):
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_what_takes_too_long_is_ended_with_its_children(tmp_path):
    child = tmp_path / "child"
    status = check.run(["sh", "-c", f"sleep 1000 & echo $! > {child}; wait"], 0.5)
    assert status == 1
    stat = Path(f"/proc/{child.read_text().strip()}/stat")
    end = time.monotonic() + 30
    while not has_ended(stat):  # the signal is sent; the kernel takes its time to end it
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("tally, status", [(Tally(5), 0), (Tally(5, 0, 2), 0), (Tally(5, 1), 1)])
def test_the_last_line_and_the_status_tell_the_sum(monkeypatch, capsys, tally, status):
    monkeypatch.setattr(check, "check", lambda names: {"unit": tally, "tools": Tally(1)})
    monkeypatch.setattr(sys, "argv", ["check.py", "all"])
    with pytest.raises(SystemExit) as ended:
        check.main()
    assert ended.value.code == status
    assert capsys.readouterr().out.splitlines()[-1] == str(tally + Tally(1))
    assert str(Tally(6)) == "6 passed, 0 failed"
    assert str(Tally(6, 1, 2)) == "6 passed, 1 failed, 2 skipped"


def test_an_unknown_suite_is_refused():
    done = subprocess.run([TOP / "tools/check.py", "nothing"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "usage" in done.stderr


def test_a_leak_check_that_was_killed_is_no_report():
    killed = "==15792==Unable to get registers from thread 15748.\n"
    assert check.KILLED.fullmatch(killed) and check.KILLED.fullmatch(killed * 2)
    assert not check.KILLED.fullmatch("")
    assert not check.KILLED.fullmatch(killed + "==1==ERROR: LeakSanitizer: detected memory leaks\n")
