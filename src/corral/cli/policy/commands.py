"""`corral policy show` and `plan`: the environment's policy, and what another one would change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from corral.cli.asking import AgentAddress, client_of, document
from corral.cli.output import JsonFlag, say, say_json
from corral.cli.policy.evidence import Agents, TopologyFile
from corral.cli.policy.input import PolicyFile, read_policy
from corral.cli.policy.network import RancherNetwork, managed_network, rancher, settings_with_credentials
from corral.cli.policy.text import show_plan, show_warnings
from corral.config import Settings
from corral.errors import CorralError, PolicyError
from corral.policy.document import PolicyDocument

NetworkName = Annotated[
    str | None,
    typer.Option(
        "--network", help="Name, id or uuid of the managed network (default: the agent's).", show_default=False
    ),
]


def show(network: NetworkName = None, agent: AgentAddress = None, as_json: JsonFlag = False) -> None:
    """Show the policy that Rancher holds, and what the agent knows of its rules.

    With --json as a file that `plan`, `apply` and `validate` take.
    """
    found = network_now(settings_with_credentials(), network, agent)
    if as_json:
        say_json(found.document.tidied().as_json())
    else:
        _show(found, agent)


def plan(
    file: PolicyFile,
    current: Annotated[
        str | None,
        typer.Option("--policy", help="A file to plan from, in the place of Rancher's policy.", show_default=False),
    ] = None,
    topology: TopologyFile = None,
    network: NetworkName = None,
    agents: Agents = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what a policy would open and close in the environment as it is; nothing is changed.

    Which pairs of services and which ports, what of that carried traffic of late, and which open connections would be
    cut. Connections and counters are those of the agents that are asked.
    """
    from corral.cli.policy.plan import Places, make_plan  # noqa: PLC0415 - `--help` does without the compiler

    wanted, parsed = read_policy(file)
    made = make_plan(wanted, parsed, Places(agents=agents or [None], topology=topology, network=network), current)
    if as_json:
        say_json(made.document)
        return
    show_plan(made.document)
    if made.network is not None and file != "-":
        say(f"to apply it: corral policy apply {file} --expect {made.document['before']}", "dim")


def network_now(settings: Settings, named: str | None, agent: str | None) -> RancherNetwork:
    """The managed network as Rancher's API shows it now. Raises UsageError and UnreachableError."""

    async def find() -> RancherNetwork:
        uuid = None if named else await _agents_network(agent)
        async with rancher(settings) as client:
            return await managed_network(client, named, uuid)

    return asyncio.run(find())


async def _agents_network(agent: str | None) -> str | None:
    """The uuid of the network that a local agent manages; None where none answers."""
    client = client_of(agent)
    try:
        state = json.loads((await asyncio.to_thread(client.get, "/v1/state")).body)
        return str(state["network"]["uuid"])
    except (CorralError, ValueError, LookupError, TypeError):
        return None


def _show(network: RancherNetwork, agent: str | None) -> None:
    say(f"policy of {network}: {network.document.digest}", "bold")
    try:
        policy = network.document.parse()
    except PolicyError as error:
        _show_refused(network.document, error)
        return
    counted = _counters(agent)
    say(f"  default    {policy.default_in_words}{_hits(counted.get(None))}")
    for index, rule in enumerate(policy.rules):
        say(f"  policy[{index}]  {rule}{_hits(counted.get(str(rule)))}")
    show_warnings(_asked(agent, "/v1/warnings", "warnings").get("warnings", ()))


def _show_refused(held: PolicyDocument, error: PolicyError) -> None:
    say("corral does not accept it; agents keep the last good policy in force", "red")
    for problem in error.problems:
        say(f"  {problem}", "red")
    say_json(held.tidied().as_json())


def _counters(agent: str | None) -> dict[str | None, Mapping[str, Any]]:
    """What the agent's counters say, by the rule's text; the default action's under None."""
    found = _asked(agent, "/v1/rules", "rules")
    by_text: dict[str | None, Mapping[str, Any]] = {rule["text"]: rule for rule in found.get("rules", ())}
    return by_text | ({None: found["default"]} if found else {})


def _asked(agent: str | None, path: str, key: str) -> dict[str, Any]:
    """What an agent adds to what Rancher says; nothing where none answers."""
    try:
        return document(agent, path, has=key)
    except CorralError:
        return {}


def _hits(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return ""
    last = f", last at {entry['last_hit']}" if entry["last_hit"] else ""
    return f"  ({entry['packets']:,} packets{last})"
