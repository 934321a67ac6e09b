"""`python -m tests.bench`: measure, print one table, write one JSON file."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Protocol

from rich.console import Console

from corral.daemon.logs import configure_logs

from .burst import measure_burst, measure_engine, measure_refresh
from .commands import measure_commands
from .denied import measure_denied
from .edits import measure_policy
from .latency import measure_events, measure_floor, measure_local, measure_replace
from .packets import measure_packets
from .questions import measure_questions
from .report import Row, print_table, write_json
from .start import measure_start


class Bench(Protocol):
    def __call__(self, *, quick: bool) -> list[Row]: ...


BENCHES: dict[str, Bench] = {
    "floor": measure_floor,
    "events": measure_events,
    "local": measure_local,
    "policy": measure_policy,
    "replace": measure_replace,
    "engine": measure_engine,
    "burst": measure_burst,
    "refresh": measure_refresh,
    "start": measure_start,
    "packets": measure_packets,
    "denied": measure_denied,
    "questions": measure_questions,
    "commands": measure_commands,
}


def main() -> int:
    options = _parser().parse_args()
    if os.geteuid() != 0:
        sys.exit("the bench makes network namespaces and nftables tables in them: run it as root")
    configure_logs(None, "info")
    progress = Console(stderr=True)
    rows: list[Row] = []
    for name, bench in BENCHES.items():
        if not options.only or name in options.only:
            progress.print(f"measuring {name} …", highlight=False)
            rows += bench(quick=options.quick)
    print_table(rows)
    write_json(options.json, rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, a look in seconds")
    parser.add_argument("--only", action="append", choices=BENCHES, metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE", help="bench.json by default")
    return parser


if __name__ == "__main__":
    sys.exit(main())
