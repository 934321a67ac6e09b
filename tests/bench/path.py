"""What `corral agent` does with an input, without its tasks: from a message's bytes to the kernel's acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import monotonic, perf_counter

from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.dataplane.codec import encode
from corral.dataplane.kernel import KernelDataplane
from corral.nft.tracker import Tracker
from corral.nft.transaction import Transaction
from corral.sources.events import read_event
from corral.types import Problem
from corral.wire.events import Event
from corral.wire.metadata import SnapshotDecoder
from corral.wire.rancher import EventTranslator

from .report import micro
from .world import World

STAGES = ("decode", "translate", "apply", "pending", "commit")


@dataclass(frozen=True)
class Run:
    """When each stage ended, the first being the start; `encode` is the part of the commit that packs the messages."""

    times: Sequence[float]
    encode: float

    @property
    def seconds(self) -> float:
        return self.times[-1] - self.times[0]


class Path:
    """One agent's state over the dataplane of the namespace that the loop is in."""

    def __init__(self, dataplane: KernelDataplane) -> None:
        self.dataplane = dataplane
        self.tracker = Tracker()
        self.facts = Facts()
        self.desk = Desk(self.tracker, self.facts, unknown_allowed=False)
        self.decoder = SnapshotDecoder()
        self.translator = EventTranslator()

    def read(self, document: bytes) -> None:
        """Take a whole metadata document in."""
        self.desk.load(self.decoder.decode(document), monotonic())

    def take(self, event: Event) -> None:
        """Take an event in that is already decoded."""
        for update in self.translator.translate(event).updates:
            self.desk.apply(update, monotonic())

    async def settle(self) -> None:
        """Commit what is pending, and collect the garbage."""
        while transaction := self.tracker.pending() or self.tracker.garbage():
            await self._commit(transaction)

    async def hear(self, text: bytes) -> Run:
        """One event, from its bytes to the kernel's acknowledgement."""
        times = [perf_counter()]
        event = decoded(text)
        times.append(perf_counter())
        updates = self.translator.translate(event).updates
        times.append(perf_counter())
        for update in updates:
            self.desk.apply(update, monotonic())
        times.append(perf_counter())
        transaction = self.tracker.pending()
        times.append(perf_counter())
        if not transaction:
            raise RuntimeError("the event changed nothing: the measurement would be void")
        await self.dataplane.commit(transaction)
        times.append(perf_counter())
        self.tracker.committed(transaction)
        return Run(times, seconds_of_encoding(transaction))

    async def _commit(self, transaction: Transaction) -> None:
        await self.dataplane.commit(transaction)
        self.tracker.committed(transaction)


def decoded(text: bytes) -> Event:
    """The event that a message is."""
    event = read_event(text)
    if isinstance(event, Problem):
        raise TypeError(f"not an event: {event}")
    return event


async def path_in(world: World, dataplane: KernelDataplane) -> Path:
    """A path that knows the world and whose table is in the kernel."""
    path = Path(dataplane)
    path.read(world.document())
    for name, resources in world.resources():
        path.translator.learn(name, resources)
    await path.settle()
    return path


def stages(runs: Sequence[Run]) -> dict[str, float]:
    """Medians of the stages, in µs."""
    medians = {
        name: median(run.times[number + 1] - run.times[number] for run in runs) for number, name in enumerate(STAGES)
    }
    medians["encode"] = median(run.encode for run in runs)
    return {name: round(micro(seconds), 1) for name, seconds in medians.items()}


def seconds_of_encoding(transaction: Transaction) -> float:
    """What packing its messages takes, done once more."""
    started = perf_counter()
    encode(transaction)
    return perf_counter() - started
