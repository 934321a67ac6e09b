"""A thousand datagrams a second that must pass, and a thousand that must not, while something happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .place import RATE, Place
from .seed import NOBODY, OTHER_QA, QA
from .waiting import until

PATIENCE = 5.0
ENOUGH = 100


@dataclass
class Probe:
    """What became of the datagrams. `arrived`: those of the forbidden ones that reached the server's cable."""

    place: Place
    sent: int = 0
    answered: int = 0
    lost: int = 0
    forbidden: int = 0
    arrived: int = 0

    @property
    def wrong(self) -> int:
        """Packets that were judged wrongly."""
        return self.lost + self.arrived

    def __str__(self) -> str:
        return (
            f"{self.lost} of {self.sent} allowed datagrams and their {self.answered} answers lost, "
            f"{self.arrived} of {self.forbidden} forbidden ones arrived ({RATE} a second each)"
        )

    async def look(self) -> None:
        """Count what there is up to now. What an application has no time to read is not lost: it has arrived."""
        asked = {name: await self.place.command(name) for name in (QA, NOBODY, OTHER_QA)}
        server, client = str(self.place.address(OTHER_QA)), str(self.place.address(QA))
        self.sent, self.forbidden = (asked[name]["sent"][server] for name in (QA, NOBODY))
        self.answered = asked[OTHER_QA]["echoed"].get(client, 0)
        there, back = self.place.datagrams_seen(QA, OTHER_QA), self.place.datagrams_seen(OTHER_QA, QA)
        self.lost = self.sent - there + self.answered - back
        self.arrived = self.place.seen(NOBODY, OTHER_QA)

    async def passes(self, count: int = ENOUGH) -> None:
        """Wait until so many more allowed datagrams were answered."""
        await self.look()
        goal = self.answered + count

        async def reached() -> bool:
            await self.look()
            return self.answered >= goal

        try:
            await until(reached, PATIENCE + count / RATE)
        except TimeoutError:
            raise AssertionError(f"allowed datagrams do not pass: {self}") from None

    async def settle(self) -> None:
        """Send no more, and give the last ones the time to arrive."""
        for client in (QA, NOBODY):
            await self.place.command(client, "hush")

        async def arrived() -> bool:
            await self.look()
            return self.lost == 0

        try:
            await until(arrived, 1.0)
        except TimeoutError:
            await self.look()


@asynccontextmanager
async def probing(place: Place) -> AsyncIterator[Probe]:
    """Probe from before to after what happens in the context."""
    assert place.allowed(QA, OTHER_QA)
    assert not place.allowed(NOBODY, OTHER_QA)
    probe = Probe(place)
    place.tap.forget()
    for client in (QA, NOBODY):
        await place.send(client, place.address(OTHER_QA))
    await probe.passes()
    yield probe
    await probe.passes()
    await probe.settle()
    assert probe.forbidden > ENOUGH
