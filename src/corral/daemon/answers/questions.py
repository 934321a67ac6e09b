"""Questions that are answered from a picture of one moment: what may reach what, and everything at once."""

from __future__ import annotations

import asyncio
import time

from msgspec.json import encode

from corral.daemon.answers.explain import explain
from corral.daemon.answers.hosts import HostReport
from corral.daemon.answers.places import Knowledge, Programmed
from corral.daemon.answers.topology import LoadedTopology, copied, topology_document, topology_of
from corral.daemon.desk import Desk
from corral.daemon.times import rfc3339
from corral.documents.explain import Explanation, Names
from corral.model.lookup import names_beginning
from corral.types import Address

MOST_NAMES = 100


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
    return encode(topology_document(loaded, at))
