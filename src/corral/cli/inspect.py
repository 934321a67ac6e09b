"""`corral status`, `explain` and `ruleset`: questions to the local agent."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corral.cli.output import JsonFlag, out, pairs, say, say_json
from corral.config import load_settings
from corral.errors import UnreachableError
from corral.web.views import Which

if TYPE_CHECKING:
    from corral.sources.agent import Answer

AgentAddress = Annotated[str | None, typer.Option("--agent", help="host:port of the agent (default CORRAL_LISTEN).")]


def status(agent: AgentAddress = None, as_json: JsonFlag = False) -> None:
    """Show what the local agent knows, enforces and is waiting for. Exit status 1 when it is not ready."""
    ready = _ask(agent, "/readyz").status == 200
    state = _document(agent, "/v1/state", has="inventory")
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
    answer = _document(agent, "/v1/explain", query, has="flows")
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
    answer = _answered(agent, "/v1/ruleset", {"which": which})
    if answer.media_type != "text/plain":
        raise _stranger("/v1/ruleset")
    text = answer.body.decode(errors="replace")
    if as_json:
        say_json({"which": which, "text": text})
    else:
        typer.echo(text, nl=False)
    raise typer.Exit(1 if which is Which.DIFFERENCE and text else 0)


def _ask(agent: str | None, path: str, query: Mapping[str, str] | None = None) -> Answer:
    from corral.sources.agent import AgentClient  # noqa: PLC0415 - `--help` does without aiohttp

    listen = load_settings(os.environ, {"listen": agent}, flag_names={"listen": "--agent"}).listen
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    return asyncio.run(AgentClient(host, listen.port).get(path, query))


def _answered(agent: str | None, path: str, query: Mapping[str, str] | None = None) -> Answer:
    """A good answer. Raises UnreachableError with the agent's words when it can not answer yet."""
    from corral.sources.agent import error_of  # noqa: PLC0415 - as above

    answer = _ask(agent, path, query)
    if answer.status == 503:
        raise UnreachableError(error_of(answer.body) or f"{path}: the answer has status 503")
    return answer


def _document(agent: str | None, path: str, query: Mapping[str, str] | None = None, *, has: str) -> dict[str, Any]:
    """A JSON object that `has` a key which tells an agent from whatever else may listen there."""
    try:
        document = json.loads(_answered(agent, path, query).body)
    except ValueError:
        raise _stranger(path) from None
    if not isinstance(document, dict) or has not in document:
        raise _stranger(path)
    return document


def _stranger(path: str) -> UnreachableError:
    return UnreachableError(f"{path}: this is not how a corral agent answers; something else listens there")


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
