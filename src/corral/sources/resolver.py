"""Event messages, translated; what they refer to and is not known yet is asked of the API."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing

from corral.slices import Slices
from corral.sources.rancher import RancherClient
from corral.wire.directory import Reference
from corral.wire.events import Event, Kind
from corral.wire.rancher import EventTranslator, Translation

# What others refer to comes first, so that each collection resolves when it is learned.
COLLECTIONS = ("hosts", "networks", "stacks", "services", "containers")
# A container refers to a service, that to others by links, and those to their stacks.
DEPTH = 4
# A session lasts half a day: of more ids than that some are asked for again.
MOST_MISSING = 10_000


class Resolver:
    """Keeps one translator's knowledge complete. Every method raises UnreachableError when the API fails."""

    def __init__(self, client: RancherClient, translator: EventTranslator | None = None) -> None:
        self._client = client
        self._translator = translator or EventTranslator()
        self._missing: set[Reference] = set()
        self._heard: set[Reference] | None = None  # while a collection is read

    def begin_session(self) -> None:
        """Forget what may have changed while nobody listened: names, and which services have sidekicks.

        Whoever took an old answer for true would give a sidekick's container the rights of its primary.
        """
        self._missing.clear()
        for name in ("stacks", "services"):
            self._translator.forget_others(name, set())

    async def learn_all(self) -> None:
        """Read every collection, for the references; once a session. Events may be translated meanwhile."""
        for name in COLLECTIONS:
            self._heard = set()
            try:
                await self._learn_collection(name, self._heard)
            finally:
                self._heard = None

    async def _learn_collection(self, name: str, heard: set[Reference]) -> None:
        """What was `heard` of a resource meanwhile is newer than what the collection says of it."""
        there, slices = set[Reference](), Slices()
        async with aclosing(self._client.pages(name)) as pages:
            async for page in pages:
                for resource in page:
                    reference = _reference(name, resource)
                    there.add(reference)
                    if reference not in heard:
                        self._translator.learn(name, [resource])
                    await slices.rest()
        self._translator.forget_others(name, there | heard)

    async def translate(self, event: Event) -> Translation:
        """What an event says, preceded by what was learned for its sake.

        What the API does not know (any more) stays unresolved, and is asked for once a session only. While the API
        fails nothing is asked: events that need no answer must not wait for one that does not come.
        """
        if event.reference is not None and event.resource is not None:
            self._hear(event.reference)
        translation = self._translator.translate(event)
        if self._client.status.failures or not self._wanted(translation):
            return translation
        learned = await self._learn(translation.unresolved, DEPTH)
        if translation.kind is not Kind.HINT:
            learned.append(self._translator.translate(event))
        return _together(translation.kind, learned)

    def _hear(self, reference: Reference) -> None:
        if self._heard is not None:
            self._heard.add(reference)

    def _wanted(self, translation: Translation) -> list[Reference]:
        return [reference for reference in translation.unresolved if reference not in self._missing]

    async def _learn(self, references: Iterable[Reference], depth: int) -> list[Translation]:
        return [await self._learn_one(reference, depth) for reference in references if reference not in self._missing]

    async def _learn_one(self, reference: Reference, depth: int) -> Translation:
        resource = await self._client.resource(reference.collection, reference.id)
        if resource is None:
            if len(self._missing) >= MOST_MISSING:
                self._missing.clear()
            self._missing.add(reference)
            return Translation(Kind.CHANGE)
        self._hear(reference)
        learned = self._translator.learn(reference.collection, [resource])
        if not self._wanted(learned) or depth == 0:
            return learned
        others = await self._learn(learned.unresolved, depth - 1)
        return _together(Kind.CHANGE, [*others, self._translator.learn(reference.collection, [resource])])


def _reference(collection: str, resource: object) -> Reference:
    """What refers to the resource; to nothing, if it does not tell its id."""
    found = resource.get("id") if isinstance(resource, dict) else None
    return Reference(collection, found if isinstance(found, str) else "")


def _together(kind: Kind, parts: list[Translation]) -> Translation:
    """All that the parts say; only the last one's unresolved references still matter."""
    return Translation(
        kind,
        tuple(update for part in parts for update in part.updates),
        tuple(problem for part in parts for problem in part.problems),
        parts[-1].unresolved if parts else (),
    )
