"""`python -m tests.soak`: change for a long time, with faults; exit status 1 when a promise is broken."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import deque

from corral.daemon.logs import configure_logs

from .run import Options, Summary, ViolationError, soak

# The event source remembers the times of 20,000 resources, to tell late messages (see `wire.latest`).
CHANGES_UNTIL_FULL = 120_000


class Tail:
    """The last lines of the agent's log, for when something is wrong."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=50)

    def write(self, text: str) -> int:
        self._lines.append(text)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def __str__(self) -> str:
        return "".join(self._lines)


def main() -> int:
    options = _parser().parse_args()
    if os.geteuid() != 0:
        sys.exit("the soak makes a network namespace and an nftables table in it: run it as root")
    warm_up = _usual_warm_up(options.changes) if options.warm_up is None else options.warm_up
    chosen = Options(options.changes, options.checkpoint or max(1, options.changes // 10), options.seed, warm_up)
    log, stderr = Tail(), sys.stderr
    sys.stderr = log
    configure_logs("json", "info")
    sys.stderr = stderr
    # What is chosen follows from it; when it meets what the agent does is for the machine to say.
    _tell(f"seed {chosen.seed}")
    try:
        summary = soak(chosen, _tell)
    except ViolationError as violation:
        _tell(f"the end of the agent's log:\n{log}\nviolated: {violation}")
        return 1
    _summarize(summary)
    return 0


def _usual_warm_up(changes: int) -> int:
    """A quarter; by then the event source should remember as many resources as it ever will, where that is possible."""
    return min(changes // 2, max(changes // 4, CHANGES_UNTIL_FULL))


def _summarize(summary: Summary) -> None:
    facts, struck = summary.facts, ", ".join(f"{number} {name}" for name, number in sorted(summary.struck.items()))
    _tell(
        f"{summary.changes:,} changes in {summary.seconds:,.0f} s: {facts.commits:,} commits, "
        f"{facts.failed_commits:,} failed, {facts.repairs:,} repairs; memory at the end over that after the warm-up "
        f"{summary.growth():.3f}\nfaults: {struck}"
    )


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--changes", type=int, default=1_000_000, help="1,000,000 by default")
    parser.add_argument("--checkpoint", type=int, help="changes between two checks; a tenth of all by default")
    parser.add_argument("--warm-up", type=int, help="changes before memory counts; a quarter or half of all by default")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="random by default")  # noqa: S311
    return parser


if __name__ == "__main__":
    sys.exit(main())
