"""Questions to the local agent, for every command that asks it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corral.config import load_settings
from corral.errors import CorralError, UnreachableError

if TYPE_CHECKING:
    from corral.sources.agent import AgentClient, Answer

AgentAddress = Annotated[str | None, typer.Option("--agent", help="host:port of the agent (default CORRAL_LISTEN).")]
# Somebody waits with a finger on the key.
COMPLETION_PATIENCE = 0.5


def ask(agent: str | None, path: str, query: Mapping[str, str] | None = None) -> Answer:
    """One GET of the agent at `agent` (None: as the settings say). Raises UsageError and UnreachableError."""
    return asyncio.run(client_of(agent).get(path, query))


def client_of(agent: str | None) -> AgentClient:
    """Asks the agent at `agent`. Raises UsageError for what is no address."""
    from corral.sources.agent import AgentClient  # noqa: PLC0415 - `--help` does without aiohttp

    return AgentClient(*_address_of(agent))


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


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of services and containers for the shell: quickly, and none where no agent answers."""
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 - aiohttp takes longer than the answer
    from urllib.parse import quote  # noqa: PLC0415 - as above

    try:
        host, port = _address_of(ctx.params.get("agent"))
        connection = HTTPConnection(host, port, timeout=COMPLETION_PATIENCE)
        try:
            connection.request("GET", f"/v1/names?begin={quote(incomplete, safe='')}")
            names = json.loads(connection.getresponse().read())["names"]
            return [name for name in names if isinstance(name, str) and name.isprintable()]
        finally:
            connection.close()
    except (CorralError, OSError, HTTPException, ValueError, KeyError, TypeError):
        return []


def _address_of(agent: str | None) -> tuple[str, int]:
    listen = load_settings(os.environ, {"listen": agent}, flag_names={"listen": "--agent"}).listen
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host), listen.port  # noqa: S104


def stranger(path: str) -> UnreachableError:
    """The error for an answer that no agent gives."""
    return UnreachableError(f"{path}: this is not how a corral agent answers; something else listens there")
