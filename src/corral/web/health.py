"""A listener for health checks from elsewhere: whether the agent lives and is ready, and not a word more.

Rancher's checks come from a container to the host's address, so that whoever can reach the host can ask, too: hence
no names, no reasons and no version in the answers, and bounds on what one who asks can use up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from corral.values import Listen
from corral.web.server import UNUSABLE, can_not_listen
from corral.web.views import AgentView

# The connections of a flood are shut, oldest first: a check that asks at once has been answered by then.
CONNECTIONS = 64
LIMITS: dict[str, Any] = {
    "keepalive_timeout": 5,  # seconds for a request to arrive whole; afterwards every connection is closed
    "lingering_time": 0,  # nobody reads what comes with a request
    "tcp_keepalive": False,
    "max_line_size": 1024,
    "max_field_size": 1024,
    "max_headers": 32,
    "access_log": None,
}
# What a server says of itself is our name: the library would add versions.
SERVER = {"Server": "corral"}


@asynccontextmanager
async def serve_health(view: AgentView, listen: Listen) -> AsyncIterator[int]:
    """Listen while the context lasts; yields the port (for port 0). Raises UsageError when it can not."""
    door, loop = _Door(view), asyncio.get_running_loop()
    try:
        server = await loop.create_server(door, listen.host, listen.port, reuse_address=True)
    except UNUSABLE as error:
        raise can_not_listen("CORRAL_HEALTH_LISTEN", listen.host, listen.port, error) from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await door.shutdown(1.0)


class _Door(web.Server):
    """Makes the connections, and keeps their number bounded."""

    def __init__(self, view: AgentView) -> None:
        super().__init__(self._answer)
        self._view = view

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), **LIMITS)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        for oldest in self.connections[:-CONNECTIONS]:
            oldest.force_close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in {"GET", "HEAD"}:
            return _short("method not allowed", 405, {"Allow": "GET,HEAD"})
        if request.path not in {"/healthz", "/readyz"}:
            return _short("not found", 404)
        ready, health = self._view.health()
        refused = request.path == "/readyz" and not ready
        return _closing(web.json_response({"status": health["status"]}, status=503 if refused else 200, headers=SERVER))


class _Connection(web.RequestHandler):
    """Answers what is no HTTP as shortly as the rest."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        return _short("bad request" if status == 400 else "error", status)


def _short(error: str, status: int, headers: dict[str, Any] | None = None) -> web.Response:
    return _closing(web.json_response({"error": error}, status=status, headers=SERVER | (headers or {})))


def _closing(response: web.Response) -> web.Response:
    response.force_close()
    return response
