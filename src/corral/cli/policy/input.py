"""Policy files, as the commands read them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from corral.errors import PolicyError, UsageError
from corral.policy.document import PolicyDocument, read_document
from corral.policy.rules import Policy

STANDARD_INPUT = "-"

PolicyFile = Annotated[
    str, typer.Argument(metavar="FILE", help="A policy as `corral policy show --json` prints it; - is standard input.")
]


def read_text(file: str) -> str:
    """What a file says; `-` is standard input. Raises UsageError."""
    try:
        return sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise UsageError(f"{name_of(file)}: this is no text in UTF-8 ({error})") from error


def read_policy(file: str) -> tuple[PolicyDocument, Policy]:
    """A policy that is to be used. Raises UsageError naming every problem."""
    text = read_text(file)
    try:
        document = read_document(text)
        return document, document.parse()
    except PolicyError as error:
        raise UsageError(f"{name_of(file)}: {error}") from error


def name_of(file: str) -> str:
    """A file in words."""
    return "standard input" if file == STANDARD_INPUT else file
