"""Servers on 127.0.0.1 that answer as a test scripts them."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tests.wire.documents import Json, container, root

# A server's log shows what clients send: what the tests look for in the log is the client's.
_log = logging.getLogger("tests.sources.servers")
_log.setLevel(logging.CRITICAL)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def http_server(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serves any path by `handler`; yields `http://127.0.0.1:<port>`, or `https:`."""
    runner = web.ServerRunner(web.Server(handler), handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()


@dataclass
class Metadata:
    """A metadata service: `publish` sets a new document, `faults` are answered before anything else."""

    document: Json = field(default_factory=root)
    version: int = 1
    faults: list[Handler] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    polls: list[dict[str, str]] = field(default_factory=list)
    arrival: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    before_document: Callable[[], None] | None = None

    def publish(self, /, **sections: object) -> None:
        self.document = root(**sections)
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def publish_container(self, uuid: str) -> None:
        self.publish(containers=[container(uuid)])

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Accept"] == "application/json"
        self.requests.append(request.path)
        self.arrival.set()
        if self.faults:
            return await self.faults.pop(0)(request)
        if request.path == "/2016-07-29/version":
            return await self._version(dict(request.query))
        assert request.path == "/2016-07-29"
        if self.before_document is not None:
            self.before_document()
        return web.json_response(self.document)

    async def _version(self, query: dict[str, str]) -> web.Response:
        if query.get("wait") == "true":
            self.polls.append(query)
            if query["value"] == f"v{self.version}":
                changed = self.changed
                await asyncio.wait_for(changed.wait(), timeout=30)
        return web.json_response(f"v{self.version}")

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        async with http_server(self.handle) as url:
            yield f"{url}/2016-07-29"


Script = Callable[[ServerConnection], Awaitable[None]]


@dataclass
class Events:
    """An event server: each connection is served by the next script, the last one again and again."""

    scripts: list[Script]
    refuse: Callable[[Request], Response | None] = lambda request: None
    requests: list[Request] = field(default_factory=list)

    async def _handle(self, connection: ServerConnection) -> None:
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        await script(connection)

    def _process(self, _: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        return self.refuse(request)

    @asynccontextmanager
    async def serve(self, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        async with serve(
            self._handle,
            "127.0.0.1",
            0,
            process_request=self._process,
            close_timeout=0.1,
            ping_interval=None,
            logger=_log,
            ssl=tls,
        ) as server:
            host, port = server.sockets[0].getsockname()[:2]
            yield f"{'https' if tls else 'http'}://{host}:{port}"


PING = json.dumps({"name": "ping"})


def change(resource_id: str, **fields: object) -> Json:
    return {
        "name": "resource.change",
        "resourceType": "container",
        "resourceId": resource_id,
        "data": {"resource": {"id": resource_id, "uuid": f"c-{resource_id}", "state": "running"} | fields},
    }


def sends(*messages: object, stay: bool = True) -> Script:
    """Pings, sends these messages and then leaves, or stays until the client leaves."""

    async def script(connection: ServerConnection) -> None:
        await connection.send(PING)
        for message in messages:
            await connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
        if stay:
            await connection.wait_closed()

    return script
