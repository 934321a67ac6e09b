"""`corral explain`: may A reach B? Asked of the local agent, or of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corral.cli.asking import AgentAddress, answered, complete_name, document
from corral.cli.output import JsonFlag, say, say_json

if TYPE_CHECKING:
    from corral.documents.explain import ExplainedFlow, Explanation

TopologyFile = Annotated[
    Path | None,
    typer.Option(
        "--topology",
        help="Without an agent: what `corral topology` printed, or the metadata's root document; - is standard input.",
        show_default=False,
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", help="Judge by the policy of this file instead of the one in force.", show_default=False),
]

_STYLES = {"ALLOW": "green", "DENY": "red", "AUDIT": "yellow"}
MOST_SHOWN = 10


def explain(
    client: Annotated[
        str,
        typer.Argument(
            metavar="CLIENT", help="Address, container, stack/service or uuid.", autocompletion=complete_name
        ),
    ],
    server: Annotated[str, typer.Argument(metavar="SERVER", help="The same.", autocompletion=complete_name)],
    port: Annotated[str | None, typer.Option(help="Server port, such as 80/tcp; without: ICMP.")] = None,
    topology: TopologyFile = None,
    policy: PolicyFile = None,
    agent: AgentAddress = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the verdict for a flow and the rule that decides it. Exit status 1 when it is denied."""
    if topology is None and policy is None:
        query = {"client": client, "server": server} | ({"port": port} if port else {})
        answer = document(agent, "/v1/explain", query, has="flows")
    else:
        answer = dict(_judged_here(client, server, port, topology, policy, agent))
    if as_json:
        say_json(answer)
    else:
        show(answer)
    raise typer.Exit(1 if answer["verdict"] == "deny" else 0)


def _judged_here(
    client: str, server: str, port: str | None, topology: Path | None, policy: Path | None, agent: str | None
) -> Explanation:
    """By a file; or by what the agent knows, under another policy."""
    from corral.daemon.answers.explain import explain as explained  # noqa: PLC0415 - `--help` does without msgspec
    from corral.daemon.answers.topology import load, understood  # noqa: PLC0415 - as above

    if topology is not None:
        loaded = load(topology, policy)
    else:
        loaded = understood(answered(agent, "/v1/topology").body, "/v1/topology", policy)
    return explained(loaded, client, server, port)


def show(answer: Mapping[str, Any]) -> None:
    """An explanation for people."""
    for line, style in _told(answer):
        say(line, style)


def _told(answer: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Lines of text, each with its style."""
    for flow in answer["flows"]:
        yield from _told_flow(flow, answer["mode"])
    yield "", None
    yield f"the other way round, {answer['server']} -> {answer['client']}:", "bold"
    for flow in answer["reverse"]["flows"]:
        word, style = _verdict(flow, answer["mode"])
        yield f"  {word}  {_port(flow)}{_more(flow)}: {flow['sentence']}", style
    yield f"  {answer['replies']}", None
    for heading, lines in (
        ("note", answer["notes"]),
        ("beware", [note["sentence"] for note in answer["published"]]),
        ("to allow it", [_suggested(change) for change in answer["suggestions"]]),
    ):
        for line in lines[:MOST_SHOWN]:
            yield f"{heading}: {line}", "yellow" if heading == "beware" else None
        if len(lines) > MOST_SHOWN:
            yield f"{heading}: and {len(lines) - MOST_SHOWN} more, see --json", None


def _told_flow(flow: ExplainedFlow, mode: str) -> Iterator[tuple[str, str | None]]:
    word, style = _verdict(flow, mode)
    yield f"{word}  {_end(flow['client'])} -> {_end(flow['server'])}  {_port(flow)}{_more(flow)}", style
    yield f"  {flow['sentence']}", None
    for step in flow["steps"]:
        if not step["matched"]:  # the one that does is in the sentence
            yield f"  policy[{step['rule']}] does not match ({step['text']}): {step['why']}", None
    if flow["rule_json"] is not None:
        yield f"  policy[{flow['rule']}] in Rancher: {json.dumps(flow['rule_json'], ensure_ascii=False)}", None
    for place in flow["enforced"][:MOST_SHOWN]:
        yield f"  enforced {place['sentence']}", None
    if len(flow["enforced"]) > MOST_SHOWN:
        yield f"  enforced on {len(flow['enforced']) - MOST_SHOWN} more hosts, see --json", None


def _verdict(flow: ExplainedFlow, mode: str) -> tuple[str, str | None]:
    """In audit mode what would be denied passes, and must not look as if it was dropped."""
    word = flow["verdict"].upper()
    if word == "DENY" and mode == "audit":
        return "AUDIT (would be denied)", _STYLES["AUDIT"]
    return word, _STYLES.get(word)


def _end(end: Mapping[str, Any]) -> str:
    return end["name"] if end["name"] == end["address"] else f"{end['name']} ({end['address']})"


def _port(flow: ExplainedFlow) -> str:
    return f"{flow['port']}/{flow['protocol']}" if flow["port"] else flow["protocol"]


def _more(flow: ExplainedFlow) -> str:
    return f"  (and {flow['count'] - 1} more like it)" if flow["count"] > 1 else ""


def _suggested(change: Mapping[str, Any]) -> str:
    opens = change["also_opens_pairs"]
    if not opens:
        return f"{change['sentence']} (opens nothing else)"
    listed = ", ".join(change["also_opens"][:3])
    more = f" and {opens - 3} more" if opens > 3 else ""
    return f"{change['sentence']} (also opens {listed}{more})"
