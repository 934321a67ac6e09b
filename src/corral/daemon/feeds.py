"""From the sources to the desk: snapshots of the metadata service, and Rancher's events."""

from __future__ import annotations

import time
from contextlib import aclosing

import structlog

from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.errors import UnreachableError
from corral.sources.events import Changed, Connected, Disconnected, EventItem, EventSource
from corral.sources.metadata import MetadataSource
from corral.sources.rancher import RancherClient
from corral.sources.resolver import Resolver
from corral.types import Problem
from corral.wire.rancher import Translation

log = structlog.get_logger()


async def follow_metadata(source: MetadataSource, desk: Desk, engine: Engine) -> None:
    """Load every snapshot that comes."""
    async with aclosing(source.snapshots()) as snapshots:
        async for snapshot in snapshots:
            if desk.load(snapshot, time.monotonic()):
                engine.wake()


class EventFeed:
    """Translates events and applies what they say; looks up by REST what they refer to and nobody told yet."""

    def __init__(self, source: EventSource, client: RancherClient, desk: Desk, engine: Engine, facts: Facts) -> None:
        self._source = source
        self._client = client
        self._desk = desk
        self._engine = engine
        self._facts = facts
        self._resolver = Resolver(client)

    async def run(self) -> None:
        """Follow the stream for ever."""
        async with self._client, aclosing(self._source.messages()) as messages:
            async for item in messages:
                try:
                    await self._take(item)
                except UnreachableError as error:
                    # Without the API an event's references mean nothing, and the event is left to the metadata.
                    self._facts.events_error = str(error)
                    log.warning("the API does not answer what an event asks for", error=str(error))

    async def _take(self, item: EventItem) -> None:
        match item:
            case Connected():
                # References only: what changed while nobody listened is for the metadata to tell, as one picture.
                await self._resolver.learn_all()
            case Changed(message):
                self._apply(await self._resolver.translate(message))
                self._facts.events_error = None
            case Problem():
                log.warning("event not understood", problem=str(item))
            case Disconnected():
                pass

    def _apply(self, translation: Translation) -> None:
        for problem in translation.problems:
            log.warning("event not understood", problem=str(problem))
        now = time.monotonic()
        changed = [self._desk.apply(update, now) for update in translation.updates]
        if any(changed):
            self._engine.wake()
