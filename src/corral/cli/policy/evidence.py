"""What agents know of the environment and of traffic, for a plan."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corral.cli.asking import client_of, stranger
from corral.errors import CorralError, UnreachableError, UsageError

if TYPE_CHECKING:
    from corral.daemon.answers.plan import Evidence
    from corral.model.topology import Topology

Agents = Annotated[
    list[str] | None,
    typer.Option(
        "--agent", help="host:port of an agent (default CORRAL_LISTEN); once for each to ask for connections."
    ),
]
TopologyFile = Annotated[
    Path | None,
    typer.Option("--topology", help="What `corral topology` printed, in the place of an agent.", show_default=False),
]


async def ask_for_topology(agent: str | None) -> Topology:
    """The environment as an agent sees it. Raises UnreachableError."""
    from corral.wire.topology import read_topology  # noqa: PLC0415 - `--help` does without msgspec

    body = await _answer(agent, "/v1/topology")
    try:
        return read_topology(body)
    except UsageError:
        raise stranger("/v1/topology") from None


async def ask_for_traffic(agents: Sequence[str | None]) -> list[Evidence]:
    """What each agent knows of connections and of its rules' counters; one that can not tell is part of the answer."""
    return list(await asyncio.gather(*map(_evidence, agents)))


async def _evidence(agent: str | None) -> Evidence:
    from corral.daemon.answers.plan import Evidence  # noqa: PLC0415 - `--help` does without the compiler

    address = client_of(agent).address
    troubles = []
    found: dict[str, Any] = {}
    for path, key in (("/v1/connections", "connections"), ("/v1/rules", "rules")):
        try:
            found[key] = await _document(agent, path, key)
        except CorralError as error:
            troubles.append(f"{key} of {address}: {error}")
    return Evidence(
        agent=address,
        connections=found.get("connections"),
        rules=found.get("rules"),
        troubles=tuple(troubles),
    )


async def _document(agent: str | None, path: str, key: str) -> dict[str, Any]:
    try:
        document = json.loads(await _answer(agent, path))
    except ValueError:
        raise stranger(path) from None
    if not isinstance(document, dict) or key not in document:
        raise stranger(path)
    return document


async def _answer(agent: str | None, path: str) -> bytes:
    from corral.sources.agent import error_of  # noqa: PLC0415 - `--help` does without HTTP

    answer = await asyncio.to_thread(client_of(agent).get, path)
    if answer.status == 503:
        raise UnreachableError(error_of(answer.body))
    return answer.body
