"""`/v1/denied`: denied flows, and what would allow one."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple, Protocol

from aiohttp import web

from corral.documents.denied import Denied, DeniedSuggestions
from corral.errors import UsageError
from corral.values import read_duration

MOST_SHOWN = 1000
_SWITCHES = {"true": True, "false": False}


class DeniedQuery(NamedTuple):
    """`since`: seen within so long; `client` and `server` are names; `suggest` asks for suggestions, too."""

    since: timedelta | None = None
    client: str | None = None
    server: str | None = None
    limit: int = MOST_SHOWN
    suggest: bool = False


class DeniedView(Protocol):
    """Raises CorralError with a text for the operator."""

    async def denied(self, query: DeniedQuery) -> Denied:
        """The flows that were asked for."""

    async def suggestions(self, client: str, server: str, port: str | None) -> DeniedSuggestions:
        """The smallest changes of the policy that would allow a flow."""


def denied_routes(view: DeniedView) -> list[web.RouteDef]:
    """`?since=10m&client=…&server=…&limit=50&suggest=true`, all of them optional."""

    async def denied(request: web.Request) -> web.Response:
        return web.json_response(await view.denied(_query(request)))

    async def suggestions(request: web.Request) -> web.Response:
        query = request.query
        missing = [name for name in ("client", "server") if not query.get(name)]
        if missing:
            allowed = "/v1/denied/suggestions?client=…&server=…&port=80/tcp is allowed"
            raise UsageError(f"{' and '.join(missing)} missing; {allowed}")
        return web.json_response(await view.suggestions(query["client"], query["server"], query.get("port")))

    return [web.get("/v1/denied", denied), web.get("/v1/denied/suggestions", suggestions)]


def _query(request: web.Request) -> DeniedQuery:
    query = request.query
    suggest = query.get("suggest", "false")
    if suggest not in _SWITCHES:
        raise UsageError(f"suggest: {suggest!r} given; true or false is allowed")
    since = read_duration("since", query["since"]) if query.get("since") else None
    names = query.get("client") or None, query.get("server") or None
    return DeniedQuery(since, *names, _limit(query.get("limit", str(MOST_SHOWN))), _SWITCHES[suggest])


def _limit(given: str) -> int:
    if not (given.isascii() and given.isdecimal() and 1 <= int(given[:9]) <= MOST_SHOWN):
        raise UsageError(f"limit: {given!r} given; 1-{MOST_SHOWN} is allowed")
    return int(given)
