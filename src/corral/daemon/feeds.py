"""From the sources to the desk: snapshots of the metadata service, and Rancher's events."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import aclosing

import structlog

from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.errors import UnreachableError
from corral.model.updates import Update
from corral.sources.events import Changed, Connected, Disconnected, EventSource
from corral.sources.metadata import MetadataSource
from corral.sources.rancher import RancherClient
from corral.types import Problem
from corral.wire.directory import Reference
from corral.wire.rancher import EventTranslator, Kind

log = structlog.get_logger()

# What events refer to. Containers are looked up one by one: few events refer to another container.
LEARNED_COLLECTIONS = ("hosts", "networks", "stacks", "services")
# A service refers to its stack, a container to both: more steps than this are no chain of references.
LOOKUP_ROUNDS = 4


async def follow_metadata(source: MetadataSource, desk: Desk, engine: Engine) -> None:
    """Load every snapshot that comes."""
    async with aclosing(source.snapshots()) as snapshots:
        async for snapshot in snapshots:
            if desk.load(snapshot, time.monotonic()):
                engine.wake()


class EventFeed:
    """Translates events and applies what they say; looks up by REST what they refer to and nobody told yet."""

    def __init__(self, source: EventSource, client: RancherClient, desk: Desk, engine: Engine) -> None:
        self._source = source
        self._client = client
        self._desk = desk
        self._engine = engine
        self._translator = EventTranslator()

    async def run(self) -> None:
        """Follow the stream for ever."""
        async with self._client, aclosing(self._source.messages()) as messages:
            async for item in messages:
                match item:
                    case Connected():
                        await self._learn_collections()
                    case Changed(message):
                        await self._take(message)
                    case Problem():
                        log.warning("event not understood", problem=str(item))
                    case Disconnected():
                        pass

    async def _learn_collections(self) -> None:
        """References only: what changed while nobody listened is for the metadata to tell, as one picture."""
        for name in LEARNED_COLLECTIONS:
            try:
                self._translator.learn(name, await self._client.collection(name), whole=True)
            except UnreachableError as error:
                log.warning("collection not read", collection=name, error=str(error))

    async def _take(self, message: object) -> None:
        for _ in range(LOOKUP_ROUNDS):
            translation = self._translator.translate(message)
            for problem in translation.problems:
                log.warning("event not understood", problem=str(problem))
            if not translation.unresolved:
                self._apply(translation.updates)
                return
            hint = translation.kind is Kind.HINT
            if not await self._look_up(translation.unresolved, apply=hint) or hint:
                return

    async def _look_up(self, references: Iterable[Reference], *, apply: bool) -> bool:
        """Learn single resources; False when there is no point in going on."""
        for reference in references:
            try:
                resource = await self._client.resource(reference.collection, reference.id)
            except UnreachableError as error:
                log.warning("resource not read", resource=reference.id, error=str(error))
                return False
            if resource is None:
                return False
            translation = self._translator.learn(reference.collection, [resource])
            if apply:
                self._apply(translation.updates)
        return True

    def _apply(self, updates: Iterable[Update]) -> None:
        now = time.monotonic()
        changed = [self._desk.apply(update, now) for update in updates]
        if any(changed):
            self._engine.wake()
