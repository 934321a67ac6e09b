"""`corral denied`: flows that the kernel dropped, or would drop, by name; those of late, or as they come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from corral.cli.asking import AgentAddress, client_of, complete_name, document, stranger
from corral.cli.output import JsonFlag, console, on_terminal, printable, printable_json, say, say_error, say_json
from corral.errors import UnreachableError

_STYLES = {"deny": "red", "audit": "yellow"}
_HELP = "address, container, stack/service or stack."


def denied(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show denied flows as they come, until Ctrl-C.")
    ] = False,
    client: Annotated[
        str | None, typer.Option(help=f"Only flows of this client: {_HELP}", autocompletion=complete_name)
    ] = None,
    server: Annotated[
        str | None, typer.Option(help=f"Only flows to this server: {_HELP}", autocompletion=complete_name)
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only flows seen within this time, such as 10m.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many flows, the latest.")] = None,
    agent: AgentAddress = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the flows that were denied to servers of this host, with the rule and the smallest change that allows them.

    In audit mode they passed, and each line says AUDIT. With --follow and --json each line is an object.
    """
    names = {key: name for key, name in (("client", client), ("server", server)) if name}
    if not follow or since or limit:
        query = names | {key: str(value) for key, value in (("since", since), ("limit", limit)) if value is not None}
        found = document(agent, "/v1/denied", {**query, "suggest": "true"}, has="flows")
        _show(found, as_json=as_json, as_lines=follow)
    if follow:
        try:
            _follow(agent, names, as_json=as_json)
        except KeyboardInterrupt:
            raise typer.Exit from None


def _show(found: Mapping[str, Any], *, as_json: bool, as_lines: bool) -> None:
    flows = found["flows"]
    if as_lines:
        for flow in reversed(flows):
            _line(flow, as_json=as_json)
        return
    if as_json:
        say_json(found)
        return
    if not found["listening"]:
        say_error("the kernel's reports of denied packets do not reach the agent: corral status says why")
    if on_terminal() and flows:
        _table(flows)
    for flow in [] if on_terminal() else flows:
        _line(flow, as_json=False)
    if not flows and on_terminal():
        say(f"no denied flow is known since {found['since']}")
    if found["forgotten"] and on_terminal():
        say(f"{found['forgotten']} older flows are forgotten")


def _table(flows: list[Mapping[str, Any]]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("last (UTC)", "", "client", "server", "port", "count", "why"):
        table.add_column(
            heading, justify="right" if heading == "count" else "left", no_wrap=heading in {"last (UTC)", ""}
        )
    for flow in flows:
        why = Text(printable(flow["sentence"]))
        if flow["answered"]:
            why.append("\nit was open: the server had answered", style="bold")
        if flow["suggestion"]:
            why.append(f"\nto allow it: {printable(flow['suggestion'])}", style="green")
        verdict = Text(printable(flow["verdict"].upper()), style=_STYLES.get(flow["verdict"], ""))
        ends = [Text(printable(flow[end]["name"] or flow[end]["address"])) for end in ("client", "server")]
        last, port = (Text(printable(text)) for text in (f"{flow['last'][:10]} {flow['last'][11:19]}", _port(flow)))
        table.add_row(last, verdict, *ends, port, Text(str(flow["count"])), why)
    console().print(table)


def _line(flow: Mapping[str, Any], *, as_json: bool) -> None:
    """One flow in one line, to be read by people and by grep."""
    if as_json:
        typer.echo(printable_json(json.dumps(flow)))
        return
    ends = " -> ".join(_end(flow[end]) for end in ("client", "server"))
    parts = [f"{flow['verdict'].upper()}  {ends}  {_port(flow)}  {flow['count']} reported", flow["sentence"]]
    if flow["answered"]:
        parts.append("it was open: the server had answered")
    if flow.get("suggestion"):
        parts.append(f"to allow it: {flow['suggestion']}")
    say(f"{flow['last']}  {'; '.join(parts)}", _STYLES.get(flow["verdict"]))


def _end(end: Mapping[str, Any]) -> str:
    return f"{end['name']} ({end['address']})" if end["name"] else str(end["address"])


def _port(flow: Mapping[str, Any]) -> str:
    return f"{flow['port']}/{flow['protocol']}" if flow["port"] is not None else str(flow["protocol"])


def _follow(agent: str | None, names: Mapping[str, str], *, as_json: bool) -> None:
    for kind, data in client_of(agent).stream("/v1/events", {**names, "kinds": "denied"}):
        try:
            told = json.loads(data)
            if kind == "denied":
                _line(told, as_json=as_json)
            elif kind == "lost":
                say_error(f"{told['events']} events were lost: this reader was too slow")
        except (ValueError, KeyError, TypeError):
            raise stranger("/v1/events") from None
    raise UnreachableError("the agent has ended the stream of events")
