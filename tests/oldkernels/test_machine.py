"""Guests: what fails in one fails outside. `make test-kernels` runs these first."""

from __future__ import annotations

import platform

import pytest

from tests.oldkernels.__main__ import report, run
from tests.oldkernels.packages import Kernel, kernel

SERIES = "5.10"
LOGGING = ("nft_log", "nft_limit", "nfnetlink_log")
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def oldest() -> Kernel:
    return kernel(SERIES)


def test_what_fails_in_a_guest_fails_outside(oldest: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(oldest, ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/oldkernels/in_a_guest.py"))
    assert oldest.release != platform.release()
    assert result.counts == {"passed": 1, "failed": 1, "skipped": 1}, result.outcome.output + result.outcome.console
    assert result.outcome.status == 1
    assert report([result]) == 1
    assert "test_that_fails" in capsys.readouterr().out


def test_a_guest_that_crashes_has_failed(oldest: Kernel) -> None:
    result = run(oldest, ("sh", "-c", "echo '1 passed in 0.01s'; sync; echo c >/proc/sysrq-trigger"))
    assert result.outcome.status is None
    assert not result.passed
    assert "Kernel panic" in result.outcome.console
    assert report([result]) == 1


def test_a_kernel_without_the_modules_that_log(oldest: Kernel) -> None:
    """What the tests outside make up, for once as it is (`tests/kernel/test_without_logs.py`)."""
    command = ("env", "CORRAL_LACKS_LOGS=yes", "python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    result = run(oldest, (*command, "tests/kernel/test_without_logs.py"), without=LOGGING)
    assert result.passed, result.outcome.output + result.outcome.console
