"""From the sources to the desk: snapshots of the metadata service, and Rancher's events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

import structlog

from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.errors import UnreachableError
from corral.slices import Slices
from corral.sources.events import Changed, Connected, Disconnected, EventItem, EventSource
from corral.sources.metadata import MetadataSource
from corral.sources.rancher import RancherClient
from corral.sources.resolver import Resolver
from corral.sources.resync import Resync
from corral.types import Problem
from corral.wire.rancher import Translation

log = structlog.get_logger()


async def follow_metadata(
    source: MetadataSource, desk: Desk, engine: Engine, loaded: Callable[[], None] = lambda: None
) -> None:
    """Load every snapshot that comes, and say so."""
    async with aclosing(source.snapshots()) as snapshots:
        async for snapshot in snapshots:
            desk.facts.unshown_since = None
            desk.facts.timing.last_snapshot = time.monotonic()
            if desk.load(snapshot, time.monotonic()):
                engine.wake()
            loaded()


class EventFeed:
    """Translates events and applies what they say; looks up by REST what they refer to and nobody told yet."""

    def __init__(self, source: EventSource, client: RancherClient, desk: Desk, engine: Engine, facts: Facts) -> None:
        self._source = source
        self._client = client
        self._desk = desk
        self._engine = engine
        self._facts = facts
        self._resolver = Resolver(client)
        # References only: what changed while nobody listened is for the metadata to tell, as one picture.
        self._resync = Resync(self._learn_all, client.probe)

    async def run(self) -> None:
        """Follow the stream for ever."""
        async with self._client, asyncio.TaskGroup() as group:
            group.create_task(self._resync.run(), name="resync")
            group.create_task(self._follow(), name="events")

    async def _follow(self) -> None:
        async with aclosing(self._source.messages()) as messages:
            slices = Slices()
            async for item in messages:
                await self._take_or_tell(item)
                await slices.rest()

    async def _learn_all(self) -> None:
        try:
            await self._resolver.learn_all()
        except UnreachableError:
            raise
        except Exception as error:
            self._unexpected(error, "the collections of the API")

    async def _take_or_tell(self, item: EventItem) -> None:
        try:
            await self._take(item)
        except UnreachableError as error:
            # Without the API an event's references mean nothing, and the event is left to the metadata.
            self._resync.failed(error)
            log.debug("the API does not answer what an event asks for", error=str(error))
        except Exception as error:
            about = item.event.reference if isinstance(item, Changed) else type(item).__name__
            self._unexpected(error, "an event", f"an event about {about}")

    def _unexpected(self, error: Exception, what: str, details: str = "") -> None:
        log.error("unexpected error", input=details or what, exc_info=error)
        trouble = f"{what} could not be taken in ({type(error).__name__}, see the log)"
        self._facts.unexpected_error = f"{trouble}: left to the metadata service"

    async def _take(self, item: EventItem) -> None:
        match item:
            case Connected():
                self._resolver.begin_session()
                # A request of the last session may have failed after its end; nothing is known of this one's yet.
                self._client.status.forget()
                self._resync.connected()
            case Changed(event, received):
                self._facts.timing.last_event = received
                self._apply(await self._resolver.translate(event), received)
            case Problem():
                log.warning("event not understood", cause="event stream", problem=str(item))
            case Disconnected():
                self._resync.disconnected()
                # The stream's failure tells it all.
                self._client.status.forget()

    def _apply(self, translation: Translation, received: float) -> None:
        for problem in translation.problems:
            log.warning("event not understood", cause="event", problem=str(problem))
        now = time.monotonic()
        changed = [self._desk.apply(update, now) for update in translation.updates]
        if any(changed):
            self._facts.timing.applied(received)
            if self._facts.unshown_since is None:
                self._facts.unshown_since = now
            self._engine.wake()
