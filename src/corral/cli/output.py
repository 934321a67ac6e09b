"""Consoles for answers and for errors; colour only on a terminal, NO_COLOR respected (rich does both)."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say(text: str, style: str | None = None) -> None:
    """One line of text that comes from outside: no markup is read in it, and it is not wrapped."""
    out.print(text, style=style, markup=False, soft_wrap=True)


def say_json(value: Any) -> None:
    """Indented JSON, for people and programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def pairs(rows: list[tuple[str, str]]) -> None:
    """A two-column listing."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(name, style="bold"), Text(value))
    out.print(table)
