"""The table that `make test-kernels` ends with."""

from __future__ import annotations

import pytest

from tests.oldkernels.__main__ import Result, report
from tests.oldkernels.machine import Outcome


def result(status: int | None, output: str) -> Result:
    return Result("5.10", "5.10.0-46-cloud-amd64", 12.3, Outcome(status, output, "the console\n"))


@pytest.mark.parametrize(
    ("status", "output", "verdict"),
    [
        (1, "2 failed, 95 passed in 38.10s\n", "2 failed, 95 passed"),
        (0, "90 passed, 7 skipped in 38.10s (0:00:38)\n", "90 passed, 7 skipped"),
        (1, "3 errors in 1.00s\n", "3 error"),
        (5, "no tests ran in 0.01s\n", "status 5"),
        (None, "97 passed in 38.10s\n", "did not get to its end"),
        (127, "", "status 127"),
    ],
)
def test_anything_but_passed_is_a_failure(
    status: int | None, output: str, verdict: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = result(0, "97 passed in 383.46s (0:06:23)\n")
    assert report([good, result(status, output)]) == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].split() == ["5.10", "5.10.0-46-cloud-amd64", "FAILED", "12", "s", *verdict.split()]
    assert "the console" in printed


def test_all_passed(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([result(0, "97 passed in 383.46s (0:06:23)\n")]) == 0
    assert "passed      12 s  97 passed" in capsys.readouterr().out


def test_no_kernel_is_no_success() -> None:
    assert report([]) == 1
