"""Writes docs/reference/ from the code: the help of every command, and the shape of every JSON answer.

With --check it writes nothing and ends with status 1 where a page is not what the code says.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before typer is imported: help as plain text, as wide on every terminal.
os.environ |= {"TYPER_USE_RICH": "0", "NO_COLOR": "1", "COLUMNS": "80"}

import typer.core
import typer.main
from typer.testing import CliRunner

from corral.cli.app import app
from corral.cli.schema import DOCUMENTS, adapter

PAGES = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- Made by `make reference`. -->"


def main() -> int:
    """Write the pages, or compare them."""
    pages = {PAGES / "commands.md": "\n".join(_commands()), PAGES / "answers.md": "\n".join(_answers())}
    if "--check" not in sys.argv[1:]:
        PAGES.mkdir(exist_ok=True)
        for page, text in pages.items():
            page.write_text(text)
        return 0
    outdated = [page for page, text in pages.items() if not page.is_file() or page.read_text() != text]
    for page in outdated:
        print(f"{page.relative_to(PAGES.parents[1])} is not what the code says: run `make reference`", file=sys.stderr)
    return 1 if outdated else 0


def _commands() -> Iterator[str]:
    yield from ("# Command line", "", MADE, "")
    yield from ("What `--help` says of each command. [Commands](../commands.md) says more.", "")
    root = typer.main.get_command(app)
    yield from _help(root, ())


def _help(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    run = CliRunner().invoke(app, [*path, "--help"], prog_name="corral")
    yield from ("## " + " ".join(("corral", *path)), "", "```text", run.output.strip(), "```", "")
    if isinstance(command, typer.core.TyperGroup):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from _help(command.get_command(context, name), (*path, name))


def _answers() -> Iterator[str]:
    yield from ("# JSON answers", "", MADE, "")
    yield from ("Every JSON answer of the agent and of `--json`, key by key.", "")
    yield from ("`corral schema NAME` prints the JSON schema.", "")
    for name, document in DOCUMENTS.items():
        schema = adapter(document).json_schema()
        yield from (f"## {name}", "", _prose(schema), "", *_keys(schema), "")
        for title, part in schema.get("$defs", {}).items():
            if "properties" in part:
                yield from (f"### {name}: {title}", "", _prose(part), "", *_keys(part), "")


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    if "properties" not in schema:
        return
    yield from ("| key | is | meaning |", "| --- | --- | --- |")
    required = schema.get("required", [])
    for key, value in schema["properties"].items():
        there = "" if key in required else " (may be missing)"
        yield f"| `{key}` | {_kind(value)}{there} | {_prose(value)} |"


def _prose(schema: dict[str, Any]) -> str:
    return " ".join(str(schema.get("description", "")).split()).replace("|", "\\|")


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_kind(schema['additionalProperties'])}"
    return kind


if __name__ == "__main__":
    sys.exit(main())
