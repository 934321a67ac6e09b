"""`corral status` and `ruleset`: questions to the local agent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from corral.cli.asking import AgentAddress, answered, ask, document, stranger
from corral.cli.output import JsonFlag, pairs, printable, say, say_json
from corral.web.views import Which

_UNUSUAL = re.compile(r"[^\n\t -~]")


def status(agent: AgentAddress = None, as_json: JsonFlag = False) -> None:
    """Show what the local agent knows, enforces and is waiting for. Exit status 1 when it is not ready."""
    ready = ask(agent, "/readyz").status == 200
    state = document(agent, "/v1/state", has="inventory")
    if as_json:
        say_json(state)
    else:
        _show_state(state)
    raise typer.Exit(0 if ready else 1)


def ruleset(
    which: Annotated[
        Which,
        typer.Argument(metavar="WHICH", help="What is wanted, what the kernel holds, or the difference."),
    ] = (Which.INSTALLED),
    agent: AgentAddress = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the ruleset as nft text. `difference` exits with 1 when there is one."""
    answer = answered(agent, "/v1/ruleset", {"which": which})
    if answer.media_type != "text/plain":
        raise stranger("/v1/ruleset")
    text = answer.body.decode(errors="replace")
    if as_json:
        say_json({"which": which, "text": text})
    else:
        typer.echo(_UNUSUAL.sub(lambda found: printable(found[0]), text), nl=False)
    raise typer.Exit(1 if which is Which.DIFFERENCE and text else 0)


def _show_state(state: Mapping[str, Any]) -> None:
    style = {"ready": "green", "degraded": "yellow"}.get(state["status"], "red")
    mode = "AUDIT: nothing is dropped" if state["mode"] == "audit" else state["mode"]
    say(f"{state['status']}  ({mode})", style)
    _show_reasons(state, style)
    if missing := state["hosts"]["missing"]:
        hosts = "a host has" if missing == 1 else f"{missing} hosts have"
        say(f"{hosts} no agent, so nothing judges flows to the containers there: see corral hosts", "red")
    network, policy, kernel = state["network"], state["policy"], state["kernel"]
    rows = [("host", state["host"]["name"] or state["host"]["uuid"] or "unknown")]
    if network:
        rows.append(("network", f"{network['name']}, {', '.join(network['subnets'])} on {network['bridge']}"))
    rows.append(("policy", _policy(policy)))
    rows.append(("default", policy["default"] or "unknown"))
    rows += [(f"policy[{index}]", rule) for index, rule in enumerate(policy["rules"])]
    rows += [(kind.replace("_", " "), str(number)) for kind, number in state["inventory"].items()]
    agents = [f"{number} {how}" for how, number in state["hosts"].items() if number]
    rows.append(("agents", ", ".join(agents) or "unknown"))
    rows += [(f"{name} source", _source(source)) for name, source in state["sources"].items()]
    rows.append(("kernel", f"{kernel['commits']} commits, {kernel['repairs']} repairs, {_read_back(kernel)}"))
    pairs(rows)


def _show_reasons(state: Mapping[str, Any], style: str) -> None:
    """Several of one kind are explained once."""
    explained = list(zip(state["reasons"], state["help"], strict=True))
    for number, (reason, where) in enumerate(explained, 1):
        say(f"  - {reason}", style)
        if number == len(explained) or explained[number][1] != where:
            say(f"    (more in the documentation: {where})")


def _policy(policy: Mapping[str, Any]) -> str:
    if policy["digest"] is None:
        return "no good one is known"
    rejected = ", a newer one is rejected" if policy["problems"] else ""
    return f"{policy['digest']}, {'in force' if policy['in_force'] else 'not in force'}{rejected}"


def _read_back(kernel: Mapping[str, Any]) -> str:
    age = kernel["verified_age_seconds"]
    return "not read back yet" if age is None else f"read back {age:.0f} s ago"


def _source(source: Mapping[str, Any]) -> str:
    if source["connected"]:
        return f"connected, last heard of {source['last_success']:.0f} s ago"
    return f"not connected: {source['last_error'] or 'no answer yet'}"
