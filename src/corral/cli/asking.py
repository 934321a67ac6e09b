"""Questions to the local agent, for every command that asks it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corral.config import load_settings
from corral.errors import UnreachableError

if TYPE_CHECKING:
    from corral.sources.agent import Answer

AgentAddress = Annotated[str | None, typer.Option("--agent", help="host:port of the agent (default CORRAL_LISTEN).")]


def ask(agent: str | None, path: str, query: Mapping[str, str] | None = None) -> Answer:
    """One GET of the agent at `agent` (None: as the settings say). Raises UsageError and UnreachableError."""
    from corral.sources.agent import AgentClient  # noqa: PLC0415 - `--help` does without aiohttp

    listen = load_settings(os.environ, {"listen": agent}, flag_names={"listen": "--agent"}).listen
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    return asyncio.run(AgentClient(host, listen.port).get(path, query))


def answered(agent: str | None, path: str, query: Mapping[str, str] | None = None) -> Answer:
    """A good answer. Raises UnreachableError with the agent's words when it can not answer yet."""
    from corral.sources.agent import error_of  # noqa: PLC0415 - as above

    answer = ask(agent, path, query)
    if answer.status == 503:
        raise UnreachableError(error_of(answer.body) or f"{path}: the answer has status 503")
    return answer


def document(agent: str | None, path: str, query: Mapping[str, str] | None = None, *, has: str) -> dict[str, Any]:
    """A JSON object that `has` a key which tells an agent from whatever else may listen there."""
    try:
        found = json.loads(answered(agent, path, query).body)
    except ValueError:
        raise stranger(path) from None
    if not isinstance(found, dict) or has not in found:
        raise stranger(path)
    return found


def stranger(path: str) -> UnreachableError:
    """The error for an answer that no agent gives."""
    return UnreachableError(f"{path}: this is not how a corral agent answers; something else listens there")
