"""`corral status`, `explain` and `ruleset`: questions to the local agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from corral.cli.asking import AgentAddress, answered, ask, document, stranger
from corral.cli.output import JsonFlag, out, pairs, say, say_json
from corral.web.views import Which


def status(agent: AgentAddress = None, as_json: JsonFlag = False) -> None:
    """Show what the local agent knows, enforces and is waiting for. Exit status 1 when it is not ready."""
    ready = ask(agent, "/readyz").status == 200
    state = document(agent, "/v1/state", has="inventory")
    if as_json:
        say_json(state)
    else:
        _show_state(state)
    raise typer.Exit(0 if ready else 1)


def explain(
    client: Annotated[str, typer.Argument(help="Address, container, stack/service or uuid.")],
    server: Annotated[str, typer.Argument(help="The same.")],
    port: Annotated[str | None, typer.Option(help="Server port, such as 80/tcp; without: ICMP.")] = None,
    agent: AgentAddress = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the verdict for a flow and the rule that decides it. Exit status 1 when it is denied."""
    query = {"client": client, "server": server} | ({"port": port} if port else {})
    answer = document(agent, "/v1/explain", query, has="flows")
    if as_json:
        say_json(answer)
    else:
        for flow in answer["flows"]:
            _show_flow(flow)
    raise typer.Exit(1 if answer["verdict"] == "deny" else 0)


def ruleset(
    which: Annotated[Which, typer.Argument(help="What is wanted, what the kernel holds, or the difference.")] = (
        Which.INSTALLED
    ),
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
        typer.echo(text, nl=False)
    raise typer.Exit(1 if which is Which.DIFFERENCE and text else 0)


def _show_state(state: Mapping[str, Any]) -> None:
    style = {"ready": "green", "degraded": "yellow"}.get(state["status"], "red")
    say(f"{state['status']}  ({state['mode']})", style)
    for reason in state["reasons"]:
        say(f"  - {reason}", style)
    network, policy, kernel = state["network"], state["policy"], state["kernel"]
    rows = [("host", state["host"]["name"] or state["host"]["uuid"] or "unknown")]
    if network:
        rows.append(("network", f"{network['name']}, {', '.join(network['subnets'])} on {network['bridge']}"))
    rows.append(("default", policy["default"] or "unknown"))
    rows += [(f"policy[{index}]", rule) for index, rule in enumerate(policy["rules"])]
    rows += [(kind.replace("_", " "), str(number)) for kind, number in state["inventory"].items()]
    rows += [(f"{name} source", _source(source)) for name, source in state["sources"].items()]
    rows.append(("kernel", f"{kernel['commits']} commits, {kernel['repairs']} repairs"))
    pairs(rows)


def _source(source: Mapping[str, Any]) -> str:
    if source["connected"]:
        return f"connected, last heard of {source['last_success']:.0f} s ago"
    return f"not connected: {source['last_error'] or 'no answer yet'}"


def _show_flow(flow: Mapping[str, Any]) -> None:
    port = f"{flow['port']}/{flow['protocol']}" if flow["port"] else flow["protocol"]
    verdict = str(flow["verdict"]).upper()
    style = {"ALLOW": "green", "DENY": "red"}.get(verdict)
    more = f"  (and {flow['count'] - 1} more like it)" if flow["count"] > 1 else ""
    say(f"{verdict}  {flow['client']} -> {flow['server']}  {port}{more}", style)
    say(f"  {flow['sentence']}")
    for step in flow["steps"]:
        say(f"  policy[{step['rule']}] {'matches' if step['matched'] else 'does not match'}: {step['why']}")
    if not flow["enforced_here"]:
        out.print("  enforced on the server's host, not on this one")
