"""Event messages, translated; what they refer to and is not known yet is asked of the API."""

from __future__ import annotations

from collections.abc import Iterable

from corral.sources.rancher import RancherClient
from corral.wire.directory import Reference
from corral.wire.rancher import EventTranslator, Kind, Translation

# What others refer to comes first, so that each collection resolves when it is learned.
COLLECTIONS = ("hosts", "networks", "stacks", "services", "containers")
# A container refers to a service, that to others by links, and those to their stacks.
DEPTH = 4


class Resolver:
    """Keeps one translator's knowledge complete. Every method raises UnreachableError when the API fails."""

    def __init__(self, client: RancherClient, translator: EventTranslator | None = None) -> None:
        self._client = client
        self._translator = translator or EventTranslator()
        self._missing: set[Reference] = set()

    async def learn_all(self) -> Translation:
        """Read every collection; once a session, before its first message is translated."""
        self._missing.clear()
        learned = [
            self._translator.learn(name, await self._client.collection(name), whole=True) for name in COLLECTIONS
        ]
        return _together(Kind.CHANGE, learned)

    async def translate(self, message: object) -> Translation:
        """What a message says, preceded by what was learned for its sake.

        What the API does not know (any more) stays unresolved, and is asked for once a session only.
        """
        translation = self._translator.translate(message)
        if not self._wanted(translation):
            return translation
        learned = await self._learn(translation.unresolved, DEPTH)
        if translation.kind is not Kind.HINT:
            learned.append(self._translator.translate(message))
        return _together(translation.kind, learned)

    def _wanted(self, translation: Translation) -> list[Reference]:
        return [reference for reference in translation.unresolved if reference not in self._missing]

    async def _learn(self, references: Iterable[Reference], depth: int) -> list[Translation]:
        return [await self._learn_one(reference, depth) for reference in references if reference not in self._missing]

    async def _learn_one(self, reference: Reference, depth: int) -> Translation:
        resource = await self._client.resource(reference.collection, reference.id)
        if resource is None:
            self._missing.add(reference)
            return Translation(Kind.CHANGE)
        learned = self._translator.learn(reference.collection, [resource])
        if not self._wanted(learned) or depth == 0:
            return learned
        others = await self._learn(learned.unresolved, depth - 1)
        return _together(Kind.CHANGE, [*others, self._translator.learn(reference.collection, [resource])])


def _together(kind: Kind, parts: list[Translation]) -> Translation:
    """All that the parts say; only the last one's unresolved references still matter."""
    return Translation(
        kind,
        tuple(update for part in parts for update in part.updates),
        tuple(problem for part in parts for problem in part.problems),
        parts[-1].unresolved if parts else (),
    )
