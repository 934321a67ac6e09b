"""`corral rules` and `corral topology`: what the rules did, and all that verdicts depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from corral.cli.asking import AgentAddress, answered, document, stranger
from corral.cli.output import JsonFlag, printable, printable_json, say, say_json


def rules(agent: AgentAddress = None, as_json: JsonFlag = False) -> None:
    """Show the policy's rules with what each decided on this host, and when last."""
    found = document(agent, "/v1/rules", has="rules")
    if as_json:
        say_json(found)
        return
    audit = "  AUDIT: nothing is dropped" if found["mode"] == "audit" else ""
    say(f"policy {found['policy']}, watched since {found['since']}{audit}")
    for line, style in told(found):
        say(line, style)


def topology(
    agent: AgentAddress = None,
    as_json: JsonFlag = False,
) -> None:
    """Print all that verdicts depend on, as JSON: `corral topology > FILE` is for --topology FILE."""
    del as_json  # it is JSON either way
    body = answered(agent, "/v1/topology").body
    if not body.startswith(b'{"format":"corral-topology/'):
        raise stranger("/v1/topology")
    typer.echo(printable_json(body.decode(errors="replace")))


def told(found: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """A line for each counter, in columns as wide as they need, and the warnings below."""
    heads = ("RULE", "ACTION", "PACKETS", "BYTES", "LAST HIT")
    entries = [(f"policy[{entry['index']}]", entry) for entry in found["rules"]]
    entries += [("default", found["default"]), *(("-", entry) for entry in found["others"])]
    rows = [_row(name, entry) for name, entry in entries]
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    yield _columns(heads, widths) + "TEXT", "bold"
    for row, (_, entry) in zip(rows, entries, strict=True):
        yield _columns(row, widths) + printable(entry["text"]), None if entry["packets"] else "dim"
        for warning in entry.get("warnings", ()):
            yield f"  warning: {warning}", "yellow"
    for warning in found["warnings"]:
        yield f"warning: {warning}", "yellow"


def _row(name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    last = entry["last_hit"] or ("-" if not entry["packets"] else "before")
    return name, entry["action"], str(entry["packets"]), str(entry["bytes"]), last


def _columns(cells: tuple[str, ...], widths: list[int]) -> str:
    """Numbers to the right, text to the left."""
    aligned = (
        cell.rjust(width) if cell.isdecimal() else cell.ljust(width) for cell, width in zip(cells, widths, strict=True)
    )
    return "".join(f"{cell}  " for cell in aligned)
