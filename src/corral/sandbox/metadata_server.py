"""The metadata service of one host: trails behind the environment as Rancher's does, and long-polls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from corral.sandbox.documents import DATES, render_root
from corral.sandbox.environment import Environment, ResourceChange
from corral.sandbox.namespace import Namespace
from corral.sandbox.records import HostRecord, Records
from corral.sandbox.serving import Server
from corral.sandbox.topology import METADATA_ADDRESS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

DEFAULT_WAIT = 60.0
LONGEST_WAIT = 120.0


class _Picture:
    """The environment at one moment, rendered when asked for."""

    def __init__(self, records: Records, host: HostRecord) -> None:
        self._records = records.copy()
        self._host = host
        self._roots: dict[str, Mapping[str, Any]] = {}

    def root(self, date: str) -> Mapping[str, Any]:
        if date not in self._roots:
            self._roots[date] = render_root(self._records, self._host, date)
        return self._roots[date]


class MetadataServer(Server):
    """Answers for one host. A change shows `lag` seconds after it happened, and there is one reload in that time.

    `hold` stops it following, `publish` makes it catch up at once, `forget` makes it wait for its first data again
    (404), and `garbled` is sent instead of any JSON while it is set. `fault` answers in its place: its pending long
    polls, too, once something is published. `polled` is the version that the last long poll knew.
    """

    def __init__(
        self,
        environment: Environment,
        host: int,
        namespace: Namespace,
        *,
        lag: float = 1.0,
        address: str = METADATA_ADDRESS,
        port: int = 80,
    ) -> None:
        super().__init__(namespace, address, port)
        self.lag = lag
        self.garbled: bytes | None = None
        self.fault: Handler | None = None
        self.version = self.polled = ""
        self._environment = environment
        self._host = environment.host(host)
        self._picture: _Picture | None = None
        self._dirty = asyncio.Event()
        self._reloaded = asyncio.Event()
        self._holding = False
        self._follower: asyncio.Task[None] | None = None

    def build_application(self) -> web.Application:
        """One handler for every path."""
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        return application

    async def start(self) -> None:
        """Publish the present picture and follow the environment."""
        if self._follower is None:
            self.publish()
            self._environment.listeners.append(self._note)
            self._follower = asyncio.create_task(self._follow(), name=f"metadata of {self._host.name}")
        await super().start()

    async def close(self) -> None:
        """Stop for good."""
        await self.stop()
        follower, self._follower = self._follower, None
        if follower is not None:
            self._environment.listeners.remove(self._note)
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)

    def publish(self) -> None:
        """Reload at once. The version is new even when nothing else is."""
        self._show(self._take())

    def hold(self, *, holding: bool = True) -> None:
        """Stop following the environment, or go on."""
        self._holding = holding
        self._dirty.set()

    def forget(self) -> None:
        """Wait for the first data again."""
        self._picture, self.version = None, ""

    def _note(self, _: ResourceChange) -> None:
        self._dirty.set()

    async def _follow(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            picture = self._take()
            await asyncio.sleep(self.lag)
            if not self._holding:
                self._show(picture)

    def _take(self) -> _Picture:
        return _Picture(self._environment.records, self._host)

    def _show(self, picture: _Picture) -> None:
        self._picture = picture
        self.version = str(uuid.uuid4())
        self._reloaded.set()
        self._reloaded = asyncio.Event()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        date, _, path = request.match_info["path"].strip("/").partition("/")
        if path == "version" and request.query.get("wait") == "true":
            await self._wait_for_change(request)
        if self.fault is not None:
            return await self.fault(request)
        if self._picture is None:
            raise web.HTTPNotFound(text="Not found: no data yet")
        found = self._find(self._picture, date, path)
        if self.garbled is not None:
            return web.Response(body=self.garbled, content_type="application/json")
        if "application/json" in request.headers.get("Accept", ""):
            return web.Response(body=msgspec.json.encode(found), content_type="application/json")
        return web.Response(text=_index(found))

    async def _wait_for_change(self, request: web.Request) -> None:
        seconds = float(request.query.get("maxWait", "0")) or DEFAULT_WAIT
        reloaded, self.polled = self._reloaded, request.query.get("value", "")
        if request.query.get("value") == self.version:
            try:
                await asyncio.wait_for(reloaded.wait(), min(seconds, LONGEST_WAIT))
            except TimeoutError:
                return

    def _find(self, picture: _Picture, date: str, path: str) -> object:
        if not date:
            return list(DATES)
        if date not in DATES:
            raise web.HTTPNotFound(text=f"Not found: no version {date}")
        found: object = {**picture.root(date), "version": self.version}
        for part in filter(None, path.split("/")):
            found = _step(found, part)
        return found


def _step(value: object, part: str) -> object:
    """One part of a path: a key, an index, or the name of a list's item."""
    if isinstance(value, dict) and part in value:
        return value[part]
    if isinstance(value, list):
        if part.isdecimal() and int(part) < len(value):
            return value[int(part)]
        for item in value:
            if isinstance(item, dict) and item.get("name") == part:
                return item
    raise web.HTTPNotFound(text="Not found")


def _index(value: object) -> str:
    """The plain text answer: an index of keys, or a bare value."""
    if isinstance(value, dict):
        return "".join(f"{key}{'/' if isinstance(item, dict | list) else ''}\n" for key, item in value.items())
    if isinstance(value, list):
        return "".join(f"{number}={_title(item)}\n" for number, item in enumerate(value))
    return "" if value is None else str(value)


def _title(item: object) -> str:
    return str(item.get("name", "")) if isinstance(item, dict) else str(item)
