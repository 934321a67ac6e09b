"""`corral containers` and `corral hosts`: lists of the local agent's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from corral.cli.asking import AgentAddress, document
from corral.cli.output import JsonFlag, out, printable, say, say_json

_AGENT_STYLES = {"this": "green", "running": "green", "unhealthy": "red", "unknown": "yellow", "missing": "red"}


def containers(agent: AgentAddress = None, as_json: JsonFlag = False) -> None:
    """List the containers of this host, and whether the kernel holds what the policy says of them."""
    found = document(agent, "/v1/containers", has="containers")
    if as_json:
        say_json(found)
        return
    say(f"policy {found['policy'] or 'unknown'}")
    if found["reason"]:
        say(f"nothing is programmed: {found['reason']}", "red")
    rows = [_container_row(entry, found["policy"]) for entry in found["containers"]]
    _table(("PARTY", "CONTAINER", "ADDRESS", "PROGRAMMED", "VERIFIED"), rows)


def hosts(agent: AgentAddress = None, as_json: JsonFlag = False) -> None:
    """List the hosts of the environment, and the state of their agents as Rancher shows it."""
    found = document(agent, "/v1/hosts", has="hosts")
    if as_json:
        say_json(found)
        return
    _table(("HOST", "ADDRESS", "STATE", "AGENT", "ENDPOINTS"), [_host_row(entry) for entry in found["hosts"]])
    for entry in found["hosts"]:
        if entry["agent"] == "missing":
            count = entry["endpoints"]
            say(f"{entry['name']}: no agent, so nothing judges flows to its {count} application endpoints", "red")
    say(found["how"])


def _container_row(entry: Mapping[str, Any], policy: str | None) -> list[Text]:
    if not entry["programmed"]:
        programmed = Text("no", "red")
    elif not entry["judged"]:
        programmed = Text(f"since {entry['since']}, not judged (system)")
    else:
        under = "" if entry["policy"] == policy else f" under policy {entry['policy']}"
        programmed = Text(f"since {entry['since']}{under}", "green")
    return [
        _text(entry["party"]),
        _text(entry["name"] or entry["uuid"]),
        _text(entry["address"]),
        programmed,
        _text(entry["verified"] or "not yet"),
    ]


def _host_row(entry: Mapping[str, Any]) -> list[Text]:
    return [
        _text(entry["name"] or entry["uuid"]),
        _text(entry["address"]),
        _text(entry["state"]),
        Text(printable(entry["agent"]), _AGENT_STYLES.get(entry["agent"], "")),
        _text(str(entry["endpoints"])),
    ]


def _text(value: str) -> Text:
    return Text(printable(value))


def _table(heads: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    """Columns in full, whatever the width: rich's own tables shorten what a pipe should get."""
    lines = [[Text(head, "bold") for head in heads], *rows]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [cell + Text(" " * (width - _width(cell))) for cell, width in zip(line, widths, strict=True)]
        joined = Text("  ").join(cells)
        joined.rstrip()
        out.print(joined, soft_wrap=True)


def _width(cell: Text) -> int:
    """In columns of a terminal: some characters take two."""
    return cell.cell_len
