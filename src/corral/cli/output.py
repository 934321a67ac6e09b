"""Consoles for answers and for errors; colour only on a terminal, NO_COLOR respected (rich does both)."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

out = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def printable(text: str) -> str:
    """What comes from outside, escaped where it would split a line or tell a terminal to do something."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def say(text: str, style: str | None = None) -> None:
    """One line of text that comes from outside: no markup is read in it, and it is not wrapped."""
    out.print(printable(text), style=style, markup=False, emoji=False, soft_wrap=True)


def say_error(text: str) -> None:
    """The same, to standard error."""
    errors.print(printable(text), style="red", markup=False, emoji=False, highlight=False, soft_wrap=True)


def say_json(value: Any) -> None:
    """Indented JSON, for people and programs."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    typer.echo("".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text))


def pairs(rows: list[tuple[str, str]]) -> None:
    """A two-column listing. A value is never cut or broken: what reads a pipe knows no width."""
    width = max((len(printable(name)) for name, _ in rows), default=0)
    for name, value in rows:
        line = Text.assemble((printable(name).ljust(width), "bold"), "  ", printable(value))
        out.print(line, soft_wrap=True)
