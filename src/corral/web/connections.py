"""`/v1/connections`: connection tracking beside the verdicts of the policy."""

from __future__ import annotations

from typing import Protocol

import msgspec
from aiohttp import web

from corral.documents.connections import Connections
from corral.errors import UsageError

_SWITCHES = {"true": True, "false": False}


class ConnectionsView(Protocol):
    """Raises CorralError with a text for the operator."""

    async def connections(self, *, differing: bool) -> Connections:
        """Flows within the managed network to this host; `differing`: only where verdict and what is seen disagree."""


def connections_routes(view: ConnectionsView) -> list[web.RouteDef]:
    """`?differ=true` asks only for those that differ."""

    async def connections(request: web.Request) -> web.Response:
        given = request.query.get("differ", "false")
        if given not in _SWITCHES:
            raise UsageError(f"differ: {given!r} given; true or false is allowed")
        found = await view.connections(differing=_SWITCHES[given])
        # Thousands of entries would take the standard library tens of milliseconds of everybody's time.
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    return [web.get("/v1/connections", connections)]
