"""`/v1/events`: what happens, as server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol, get_type_hints

from aiohttp import web

from corral.documents.events import Events
from corral.errors import UsageError

KINDS = frozenset(get_type_hints(Events))
# A reader that is gone is noticed within so many seconds.
_LOOK_EVERY = 1.0
# Proxies end what is silent for half a minute or so, and readers want to know that the agent lives.
KEEP_ALIVE = 15.0
_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}

Event = tuple[str, Mapping[str, Any]]


class Subscription(Protocol):
    """Events of one reader."""

    def events(self, patience: float) -> AsyncIterator[Event | None]:
        """Kind and data of each; None after so many seconds without one."""


class EventsView(Protocol):
    """What there is to follow."""

    def subscribed(
        self, kinds: Collection[str], client: str | None, server: str | None
    ) -> AbstractContextManager[Subscription]:
        """A subscription; names choose among the denied flows. Raises UnreachableError when there are too many."""


def events_routes(view: EventsView) -> list[web.RouteDef]:
    """`?kinds=state,denied` asks for these only; `client` and `server` choose among the denied flows."""

    async def events(request: web.Request) -> web.StreamResponse:
        kinds, query = _kinds(request.query.get("kinds")), request.query
        if request.method == "HEAD":
            return web.Response(headers=_HEADERS)
        with view.subscribed(kinds, query.get("client") or None, query.get("server") or None) as subscription:
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(request)
            with suppress(ConnectionError):
                await _pass_on(subscription, request, response)
        return response

    return [web.get("/v1/events", events)]


async def _pass_on(subscription: Subscription, request: web.Request, response: web.StreamResponse) -> None:
    written = time.monotonic()
    async for event in subscription.events(_LOOK_EVERY):
        if request.transport is None or request.transport.is_closing():
            return
        if event is None and time.monotonic() - written < KEEP_ALIVE:
            continue
        # Waits while the reader does not read: its events queue up meanwhile, and the oldest are lost.
        await response.write(_text(event))
        written = time.monotonic()


def _text(event: Event | None) -> bytes:
    if event is None:
        return b": keep-alive\n\n"
    kind, data = event
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def _kinds(given: str | None) -> Collection[str]:
    if given is None:
        return KINDS
    kinds = {kind.strip() for kind in given.split(",")}
    if unknown := sorted(kinds - KINDS):
        raise UsageError(f"kinds: {', '.join(map(repr, unknown))} given; {', '.join(sorted(KINDS))} are allowed")
    return kinds
