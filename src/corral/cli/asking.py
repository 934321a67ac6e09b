"""Questions to the local agent, for every command that asks it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from corral.errors import CorralError, UnreachableError
from corral.values import DEFAULT_LISTEN, Listen, parse_listen

if TYPE_CHECKING:
    from corral.sources.agent import AgentClient, Answer

AgentAddress = Annotated[str | None, typer.Option("--agent", help="host:port of the agent (default CORRAL_LISTEN).")]
# Seconds; with a finger on the key fewer.
PATIENCE = 10.0
COMPLETION_PATIENCE = 0.25
_PREFIXES = ("CORRAL_", "PLATFORM_", "CATTLE_")
# Shells put a completion on the line as it is: a name may be neither an option nor anything that they would run.
_PLAIN = re.compile(r"[\w./][\w./:@+,%=-]*")


def ask(agent: str | None, path: str, query: Mapping[str, str] | None = None) -> Answer:
    """One GET of the agent at `agent` (None: as the settings say). Raises UsageError and UnreachableError."""
    return client_of(agent).get(path, query)


def client_of(agent: str | None, *, timeout: float = PATIENCE) -> AgentClient:
    """Asks the agent at `agent`; `timeout` in seconds. Raises UsageError for what is no address."""
    from corral.sources.agent import AgentClient  # noqa: PLC0415 - `--help` does without HTTP

    return AgentClient(*_address_of(agent), timeout=timeout)


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
        found = json.loads(answered(agent, path, query).body, object_hook=_Told)
    except (ValueError, RecursionError):
        raise stranger(path) from None
    if not isinstance(found, dict) or has not in found:
        raise stranger(path)
    return found


class _Told(dict[str, Any]):
    """What an agent told. During an upgrade it may be of another version than the command."""

    def __missing__(self, key: str) -> Any:
        raise UnreachableError(f"the agent's answer has no {key!r}: is it of another version than this command?")


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of services and containers for the shell: quickly, and none where no agent answers."""
    try:
        client = client_of(ctx.params.get("agent"), timeout=COMPLETION_PATIENCE)
        names = json.loads(client.get("/v1/names", {"begin": incomplete}).body)["names"]
        return [name for name in names if isinstance(name, str) and _PLAIN.fullmatch(name)]
    except (CorralError, ValueError, KeyError, TypeError):
        return []


def _address_of(agent: str | None) -> tuple[str, int]:
    listen = _listening(agent)
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host), listen.port  # noqa: S104


def _listening(agent: str | None) -> Listen:
    """As the settings say. They are read in full, which takes a while, where there is any other, or a wrong one."""
    given = {name for name in os.environ if name.startswith(_PREFIXES)}
    if given <= {"CORRAL_LISTEN"}:
        with suppress(ValueError):
            return parse_listen(os.environ.get("CORRAL_LISTEN") or DEFAULT_LISTEN if agent is None else agent)
    from corral.config import load_settings  # noqa: PLC0415 - as above

    return load_settings(os.environ, {"listen": agent}, flag_names={"listen": "--agent"}).listen


def stranger(path: str) -> UnreachableError:
    """The error for an answer that no agent gives."""
    return UnreachableError(f"{path}: this is not how a corral agent answers; something else listens there")
