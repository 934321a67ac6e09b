"""Questions that are answered from a picture of one moment: what may reach what, and everything at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import islice

from msgspec.json import encode

from corral.daemon.answers.explain import explain
from corral.daemon.answers.hosts import HostReport
from corral.daemon.answers.places import Knowledge, Programmed
from corral.daemon.answers.topology import LoadedTopology, copied, topology_in_parts, topology_of
from corral.daemon.desk import Desk
from corral.daemon.times import rfc3339
from corral.documents.explain import Explanation, Names
from corral.model.lookup import names_beginning
from corral.types import Address

MOST_NAMES = 100
# Entries that are encoded in one go.
PIECE = 500


class Questions:
    """Implements `corral.web.questions.QuestionsView`.

    With many endpoints an answer takes tenths of a second: it is worked out in a thread, from copies. One question at
    a time: each makes copies of its own.
    """

    def __init__(self, desk: Desk, mode: str, hosts: HostReport) -> None:
        self._desk = desk
        self._mode = mode
        self._hosts = hosts
        self._asking = asyncio.Lock()

    async def explain(self, client: str, server: str, port: str | None) -> Explanation:
        """The verdict for a flow, both ways, and the rule that decides it.

        Raises UsageError for a name that nothing carries, UnreachableError while nothing is known yet.
        """
        async with self._asking:
            loaded = topology_of(self._desk, self._mode)
            return await asyncio.to_thread(explain, copied(loaded), client, server, port, self._knowledge())

    async def names(self, begin: str) -> Names:
        """Services and containers whose names begin so; none while nothing is known yet."""
        async with self._asking:
            inventory = self._desk.inventory
            endpoints, containers = dict(inventory.endpoints), dict(inventory.containers)
            return {"names": await asyncio.to_thread(names_beginning, begin, endpoints, containers, MOST_NAMES)}

    async def topology(self) -> bytes:
        """The topology document as JSON. Raises UnreachableError while nothing is known yet."""
        async with self._asking:
            loaded = copied(topology_of(self._desk, self._mode))
            return await asyncio.to_thread(_written, loaded, rfc3339(time.time()))

    def _knowledge(self) -> Knowledge:
        trouble, local = next(self._desk.facts.unenforced(), None), self._desk.facts.programming.local
        if trouble is not None:
            known = dict.fromkeys(local, Programmed(programmed=False, why=trouble.text))
        else:
            known = {address: self._programmed(address) for address in local}
        return Knowledge(known.get, self._hosts.agents())

    def _programmed(self, address: Address) -> Programmed:
        programming = self._desk.facts.programming
        held = programming.held(address)
        if held is None:
            return Programmed(programmed=False, why=programming.why_not(address))
        return Programmed(programmed=True, since=rfc3339(held.since))


def _written(loaded: LoadedTopology, at: str) -> bytes:
    """In pieces: the event loop has no turn while one is encoded, nor while the collector looks through them all."""
    frame, lists = topology_in_parts(loaded, at)
    members = [(name, _pieces(lists[name]) if name in lists else [encode(value)]) for name, value in frame.items()]
    return b"{" + b",".join(b"%b:%b" % (encode(name), b"".join(pieces)) for name, pieces in members) + b"}"


def _pieces(entries: Iterator[object]) -> Iterator[bytes]:
    between = b"["
    while piece := list(islice(entries, PIECE)):
        yield between + encode(piece)[1:-1]
        between = b","
    yield b"]" if between == b"," else b"[]"
