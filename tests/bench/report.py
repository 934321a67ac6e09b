"""What was measured: rows, the table for people and the file for machines."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

TIMES = "\N{MULTIPLICATION SIGN}"
_PIPE_WIDTH = 200


@dataclass(frozen=True)
class Row:
    """One measured thing. `ratio` is what the target is about; `stages` are medians of the parts, in µs."""

    name: str
    what: str
    p50: float
    p99: float | None = None
    unit: str = "µs"
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""
    stages: dict[str, float] = field(default_factory=dict)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that is at least as large as `percent` of all."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * percent // 100) - 1))]


def micro(seconds: float) -> float:
    return seconds * 1e6


def print_table(rows: Iterable[Row], console: Console | None = None) -> None:
    """One table; without colours and lines in a pipe."""
    console = console or Console()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    table = Table(box=None if not console.is_terminal else Table().box, pad_edge=False)
    for heading in ("what", "p50", "p99", "unit", "ratio", "target", "met", "note"):
        table.add_column(heading, justify="right" if heading in {"p50", "p99", "ratio"} else "left")
    for row in rows:
        met = {None: "", True: "yes", False: "no"}[row.met]
        numbers = (_shown(row.p50), _shown(row.p99))
        table.add_row(row.what, *numbers, row.unit, _shown(row.ratio), row.target, met, row.note)
    console.print(table)


def write_json(path: Path, rows: Iterable[Row]) -> None:
    """One object: what it ran on, and the rows."""
    document = {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "rows": [asdict(row) for row in rows],
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def _shown(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.2f}" if abs(number) < 100 else f"{number:,.0f}"
