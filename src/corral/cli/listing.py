"""`corral containers` and `corral hosts`: lists of the local agent's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corral.cli.asking import AgentAddress, document
from corral.cli.output import Cell, JsonFlag, columns, say, say_json

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
    columns(("PARTY", "CONTAINER", "ADDRESS", "PROGRAMMED", "VERIFIED"), rows)


def hosts(agent: AgentAddress = None, as_json: JsonFlag = False) -> None:
    """List the hosts of the environment, and the state of their agents as Rancher shows it."""
    found = document(agent, "/v1/hosts", has="hosts")
    if as_json:
        say_json(found)
        return
    columns(("HOST", "ADDRESS", "STATE", "AGENT", "ENDPOINTS"), [_host_row(entry) for entry in found["hosts"]])
    for entry in found["hosts"]:
        if entry["agent"] == "missing":
            count = entry["endpoints"]
            say(f"{entry['name']}: no agent, so nothing judges flows to its {count} application endpoints", "red")
    say(found["how"])


def _container_row(entry: Mapping[str, Any], policy: str | None) -> list[Cell]:
    if not entry["programmed"]:
        programmed = "no", "red"
    elif not entry["judged"]:
        programmed = f"since {entry['since']}, not judged (system)", ""
    else:
        under = "" if entry["policy"] == policy else f" under policy {entry['policy']}"
        programmed = f"since {entry['since']}{under}", "green"
    return [
        entry["party"],
        entry["name"] or entry["uuid"],
        entry["address"],
        programmed,
        entry["verified"] or "not yet",
    ]


def _host_row(entry: Mapping[str, Any]) -> list[Cell]:
    return [
        entry["name"] or entry["uuid"],
        entry["address"],
        entry["state"],
        (entry["agent"], _AGENT_STYLES.get(entry["agent"], "")),
        str(entry["endpoints"]),
    ]
