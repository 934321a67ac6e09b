"""Consoles for answers and for errors; colour only on a terminal, NO_COLOR respected (rich does both)."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from rich.console import Console

_UNUSUAL = re.compile(r"[^\n -~]")

Cell = str | tuple[str, str]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def printable(text: str) -> str:
    """What comes from outside, escaped where it would split a line or tell a terminal to do something."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@cache
def console(*, errors: bool = False) -> Console:
    """What prints on a terminal."""
    from rich.console import Console  # noqa: PLC0415 - a pipe does without it, and is answered sooner

    return Console(stderr=errors, highlight=False)


def on_terminal() -> bool:
    """Whether somebody looks at what is printed; NO_COLOR has nothing to do with it."""
    return not _plain(sys.stdout) and console().is_terminal


def _plain(stream: TextIO) -> bool:
    """A pipe or a file, and none of the variables is set by which rich takes it for a terminal."""
    forced = (os.environ.get("FORCE_COLOR"), os.environ.get("TTY_COMPATIBLE") == "1")
    return not stream.isatty() and not any(forced)


def say(text: str, style: str | None = None) -> None:
    """One line of text that comes from outside: no markup is read in it, and it is not wrapped."""
    say_parts((text, style or ""))


def say_parts(*parts: tuple[str, str], error: bool = False) -> None:
    """The same, of several texts, each with its style."""
    if _plain(sys.stderr if error else sys.stdout):
        typer.echo("".join(printable(text) for text, _ in parts), err=error)
        return
    from rich.text import Text  # noqa: PLC0415 - as above

    line = Text.assemble(*((printable(text), style) for text, style in parts))
    console(errors=error).print(line, soft_wrap=True)


def columns(heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, indent: str = "") -> None:
    """A table in full, whatever the width: what reads a pipe knows none. Columns of numbers alone are flush right.

    A cell is a text, or a text with its style.
    """
    cells = [[cell if isinstance(cell, tuple) else (cell, "") for cell in row] for row in rows]
    right = [bool(cells) and all(row[at][0].isdecimal() for row in cells) for at in range(len(heads))]
    lines = [[(head, "bold") for head in heads], *cells]
    widths = [max(_width(line[at][0]) for line in lines) for at in range(len(heads))]
    for line in lines:
        parts: list[tuple[str, str]] = [(indent, "")]
        for at, (text, style) in enumerate(line):
            blank = " " * (widths[at] - _width(text))
            last = at == len(line) - 1
            parts += [(blank, ""), (text, style)] if right[at] else [(text, style), ("" if last else blank, "")]
            parts.append(("" if last else "  ", ""))
        say_parts(*parts)


def _width(text: str) -> int:
    """In columns of a terminal: some characters take two."""
    shown = printable(text)
    if shown.isascii():
        return len(shown)
    from rich.cells import cell_len  # noqa: PLC0415 - as above

    return cell_len(shown)


def say_error(text: str) -> None:
    """The same, to standard error."""
    say_parts((text, "red"), error=True)


def say_json(value: Any) -> None:
    """Indented JSON, for people and programs."""
    typer.echo(printable_json(json.dumps(value, indent=2, ensure_ascii=False)))


def printable_json(text: str) -> str:
    """JSON that means the same, with nothing in it that tells a terminal to do something: JSON allows most of that."""
    return _UNUSUAL.sub(lambda found: found[0] if found[0].isprintable() else _escaped(found[0]), text)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]


def pairs(rows: list[tuple[str, str]]) -> None:
    """A two-column listing. A value is never cut or broken: what reads a pipe knows no width."""
    width = max((_width(name) for name, _ in rows), default=0)
    for name, value in rows:
        say_parts((name, "bold"), (" " * (width - _width(name) + 2), ""), (value, ""))
