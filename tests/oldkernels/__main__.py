"""Runs tests on other kernels: `python -m tests.oldkernels --kernels "5.10 6.1" [--tests "tests/kernel"]`.

Prints a table, and ends with 1 unless every test has passed on every kernel: a kernel that can not be had or does not
boot, a guest that does not get to its end, and a skipped test are failures, too.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import re
import sys
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tests.oldkernels import machine
from tests.oldkernels.machine import Outcome
from tests.oldkernels.packages import KEPT, Kernel, NoKernelError, kernel

# What an emulated processor gets through in a few minutes; the rest of tests/kernel takes far longer there.
TESTS = (
    "tests/kernel/test_adoption.py",
    "tests/kernel/test_packets.py",
    "tests/kernel/test_without_logs.py",
    "tests/kernel/test_commit.py",
    "tests/kernel/test_repairs.py",
    "tests/kernel/test_denied_clients.py",
    "tests/dataplane/test_bridge.py",
    "tests/dataplane/test_conformance.py",
    "tests/dataplane/flows",
)
_TIMEOUT = 3600  # seconds
_TEST_TIMEOUT = 600
_SHOWN = 60  # lines of a failing run
_COUNTS = re.compile(r"(\d+) (passed|failed|error|skipped|xfailed|xpassed)")


@dataclass(frozen=True, slots=True)
class Result:
    """One kernel's line of the table."""

    series: str
    release: str
    seconds: float
    outcome: Outcome

    @property
    def counts(self) -> dict[str, int]:
        """Of the tests by how they ended, from the last line that pytest has written."""
        lines = [line for line in self.outcome.output.splitlines() if re.search(r"\bin \d+\.\d+s", line)]
        return {what: int(count) for count, what in _COUNTS.findall(lines[-1])} if lines else {}

    @property
    def passed(self) -> bool:
        return self.outcome.status == 0 and self.counts.keys() == {"passed"}

    @property
    def verdict(self) -> str:
        if self.outcome.status is None:
            return "did not get to its end"
        return ", ".join(f"{count} {what}" for what, count in self.counts.items()) or f"status {self.outcome.status}"


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.oldkernels", description="Run tests on other kernels.")
    parser.add_argument("--kernels", default="5.10 6.12", help="series of Debian's kernels, like 5.10")
    parser.add_argument("--tests", default=" ".join(TESTS), help="files, folders and options for pytest")
    parser.add_argument("--seed", default="0", help="of the random tests")
    given = parser.parse_args()
    options = ("-q", "--color=no", "--tb=short", "-p", "no:cacheprovider", f"--timeout={_TEST_TIMEOUT}")
    tests = (*options, f"--hypothesis-seed={given.seed}", *given.tests.split())
    results = run_all(given.kernels.split(), ("python", "-m", "pytest", *tests))
    return report(results)


def run_all(every: Iterable[str], command: tuple[str, ...]) -> list[Result]:
    """Run the command on the newest kernel of each series; as many guests at a time as there are processors."""
    had = [fetched(series) for series in every]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda found: found if isinstance(found, Result) else run(found, command), had))


def fetched(series: str) -> Kernel | Result:
    """The kernel, or why there is none."""
    try:
        found = kernel(series)
    except NoKernelError as error:
        return Result(series, "", 0, Outcome(None, f"{error}\n", ""))
    say(f"{series}: {found.release}, run by {machine.accelerator(found)[1]}")
    return found


def run(found: Kernel, command: tuple[str, ...], without: Collection[str] = ()) -> Result:
    """Run the command on one kernel, without some of its modules."""
    started = time.monotonic()
    outcome = machine.run(found, command, timeout=_TIMEOUT, without=without)
    return Result(found.series, found.release, time.monotonic() - started, outcome)


def report(results: list[Result]) -> int:
    """Print what failed and the table; the exit status."""
    for result in results:
        if not result.passed:
            lines = (result.outcome.output + result.outcome.console).splitlines()[-_SHOWN:]
            say(f"==> {result.series}: all of it is in {KEPT / result.series / 'run'}", *lines, "")
    say(f"{'kernel':8} {'release':28} {'':8} {'time':>7}  tests")
    for result in results:
        word = "passed" if result.passed else "FAILED"
        say(f"{result.series:8} {result.release:28} {word:8} {result.seconds:5.0f} s  {result.verdict}")
    return 0 if results and all(result.passed for result in results) else 1


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
