"""`python -m tests.fuzz TARGET --seconds N`: fuzz one target, guided by coverage; `--replay FILE` repeats one input."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .engine import FOUND, Budget, fuzz, replay

NAMES = ("policy", "metadata", "events", "selector", "settings", "trap")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=Budget.seconds, help="how long")
    parser.add_argument("--each", type=int, default=Budget.each, help="seconds that one input may take")
    parser.add_argument("--mebibytes", type=int, default=Budget.mebibytes, help="memory that the process may take")
    parser.add_argument("--seed", type=int, default=Budget.seed, help="of libFuzzer; 0 takes another one each time")
    parser.add_argument("--inputs", type=Path, help="folder in which inputs that reach new code are kept")
    parser.add_argument("--artifacts", type=Path, help="folder in which an input that breaks something is left")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run this one input, without the fuzzer")
    given = parser.parse_args()
    if given.replay:
        replay(given.target, given.replay)
    else:
        folder = given.artifacts or FOUND / given.target
        budget = Budget(given.seconds, given.seed, given.each, given.mebibytes)
        sys.exit(fuzz(given.target, budget, inputs=given.inputs or folder / "inputs", artifacts=folder))


main()
