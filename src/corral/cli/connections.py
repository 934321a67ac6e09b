"""`corral connections`: connection tracking on this host, by name and beside the verdicts of the policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corral.cli.asking import AgentAddress, document
from corral.cli.output import Cell, JsonFlag, columns, say, say_json

if TYPE_CHECKING:
    from corral.documents.connections import Connection

_DENIED, _SILENT = "works, would be denied", "allowed, no answer"


def connections(
    differ: Annotated[bool, typer.Option("--differ", help="Only where the policy and what is seen disagree.")] = False,
    agent: AgentAddress = None,
    as_json: JsonFlag = False,
) -> None:
    """List the flows of the managed network to this host's containers, as the kernel tracks them, with their verdicts.

    With --differ only what works although the policy denies it, and what nobody answers although it is allowed: what a
    change from audit to enforce would cut, and what another firewall may be dropping. Exit status 1 if there is any.
    """
    found = document(agent, "/v1/connections", {"differ": "true"} if differ else {}, has="connections")
    if as_json:
        say_json(found)
    elif differ:
        _show_differences(found)
    else:
        _show(found["connections"])
        if not found["connections"]:
            say("no flow of the managed network to a container of this host is tracked")
        say(f"{found['entries']} flows tracked on {found['host']} in all")
        say(f"mode {found['mode']}, verdicts by policy {found['policy']}")
    if found["truncated"] and not as_json:
        say("there are more than are shown here", "yellow")
    raise typer.Exit(1 if differ and found["connections"] else 0)


def _show_differences(found: dict[str, Any]) -> None:
    denied = [one for one in found["connections"] if one["differs"] == _DENIED]
    silent = [one for one in found["connections"] if one["differs"] == _SILENT]
    say(f"{len(denied)} work and would be denied", "red" if denied else "green")
    _show(denied)
    if denied and found["mode"] == "enforce":
        say("  this host enforces, so these are cut: the kernel forgets such a flow some time after its last packet")
    say(f"{len(silent)} are allowed and nobody answers", "yellow" if silent else "green")
    _show(silent)
    if silent:
        say("  the server does not listen, its protocol needs no answers, or something else drops: see corral doctor")


def _show(entries: Sequence[Connection]) -> None:
    if entries:
        columns(("FLOW", "PORT", "STATE", "COUNT", "VERDICT"), [_row(one) for one in entries], indent="  ")


def _row(one: Connection) -> tuple[Cell, ...]:
    client, server = (one[end]["name"] or one[end]["address"] for end in ("client", "server"))
    port = one["protocol"] if one["port"] is None else f"{one['port']}/{one['protocol']}"
    verdict = one["sentence"], "red" if one["verdict"] == "deny" else ""
    return f"{client} -> {server}", port, one["state"], str(one["count"]), verdict
