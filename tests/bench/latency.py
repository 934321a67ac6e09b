"""How long one change takes: an event's bytes received -> acknowledged by the kernel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

from corral.dataplane.kernel import KernelDataplane
from corral.sandbox.namespace import Namespace
from corral.sandbox.records import ContainerRecord

from .floor import Floor, in_namespace
from .path import Path, Run, path_in, seconds_of_encoding, stages
from .report import TIMES, Row, micro, percentile
from .world import ROLES, Size, World, size_of, world_of

Work = Callable[[Path], Awaitable[list[Run]]]


@dataclass(frozen=True)
class Limit:
    """At most so many floors."""

    p50: float | None = None
    p99: float | None = None

    def __str__(self) -> str:
        parts = [f"{name} ≤ {limit:g}" for name, limit in (("p50", self.p50), ("p99", self.p99)) if limit]
        return f"{', '.join(parts)} {TIMES} floor" if parts else ""

    def met(self, p50: float, p99: float) -> bool | None:
        """None where nothing is limited."""
        checks = [value <= limit for value, limit in ((p50, self.p50), (p99, self.p99)) if limit]
        return all(checks) if checks else None


def measure_floor(*, quick: bool) -> list[Row]:
    """The unit of everything else."""

    async def main(_: Namespace) -> list[float]:
        async with Floor() as floor:
            await floor.samples()
            return [sample for _ in range(1 if quick else 10) for sample in await floor.samples(500)]

    samples = in_namespace(main)
    p50, p99 = micro(percentile(samples, 50)), micro(percentile(samples, 99))
    return [Row("floor", "floor: one packed element in one transaction", p50, p99, ratio=1.0)]


def measure_events(*, quick: bool) -> list[Row]:
    """A remote container of a known group appears, at growing sizes."""
    sizes = (100, 1000) if quick else (100, 1000, 10_000, 65_534)
    rows = [_event_row(containers, 100 if quick else 1000) for containers in sizes]
    growth = rows[-1].p50 / rows[0].p50
    what = f"event: p50 at {sizes[-1]:,} over p50 at {sizes[0]:,}"
    return [*rows, Row("growth", what, growth, unit=TIMES, ratio=growth, target="≤ 1.3", met=growth <= 1.3)]


def _event_row(containers: int, count: int) -> Row:
    world = world_of(size_of(containers))
    records = [world.spare(number) for number in range(world.size.spare)]
    limit = Limit(12, 40) if containers == 10_000 else Limit()
    what = f"event: remote container, {containers:,} containers"
    return measured(
        f"event-{containers}", what, world, partial(appear, world=world, records=records, count=count), limit
    )


def measure_local(*, quick: bool) -> list[Row]:
    """A local container appears: its chain is there; its chain is new; its chain is new and so is its stack's set."""
    world = world_of(size_of(1000 if quick else 10_000))
    known = [world.spare(number, local=True) for number in range(world.size.spare)]
    first = world.size.services - 1
    new = [world.spare(number, local=True, service=first - number) for number in range(min(10, world.size.spare))]
    started = _with_a_stack_begun(world.size)
    database = [started.spare(0, local=True, service=started.size.local - 1 + ROLES.index("db"))]
    cases = (
        ("local-known", "chain known", world, known),
        ("local-new-chain", "new chain", started, database),
        ("local-new", "new chain and set", world, new),
    )
    count = 50 if quick else 500
    return [
        measured(
            name,
            f"local container, {case}, {world.size.containers:,} containers",
            among,
            partial(appear, world=among, records=records, count=count),
            Limit(25),
        )
        for name, case, among, records in cases
    ]


def _with_a_stack_begun(size: Size) -> World:
    """The last local container is the first one of its stack here: no database of that stack is local yet."""
    stacks = min(size.local, size.services - len(ROLES)) // len(ROLES)
    return world_of(replace(size, local=stacks * len(ROLES) + 1))


def measure_replace(*, quick: bool) -> list[Row]:
    """For comparison, what other managers do at every change: the whole table, replaced."""
    world = world_of(size_of(1000 if quick else 10_000))

    async def work(path: Path) -> list[Run]:
        runs = []
        for _ in range(3 if quick else 20):
            started = perf_counter()
            transaction = path.tracker.replace()
            made = perf_counter()
            await path.dataplane.commit(transaction)
            times = (started, started, started, started, made, perf_counter())
            path.tracker.committed(transaction)
            runs.append(Run(times, seconds_of_encoding(transaction)))
        return runs

    what = f"other shape: whole table replaced, {world.size.containers:,} containers"
    return [measured("replace", what, world, work, Limit())]


async def appear(path: Path, *, world: World, records: Sequence[ContainerRecord], count: int) -> list[Run]:
    """Time each container's appearance, and not its end."""
    texts = [world.coming_and_going(record) for record in records]
    runs = []
    for number in range(count):
        begin, end = texts[number % len(texts)]
        runs.append(await path.hear(begin))
        await path.hear(end)
        await path.settle()
    return runs


def measured(name: str, what: str, world: World, work: Work, limit: Limit) -> Row:
    """The row of some work on a path, with the floor taken before and after it in the same loop."""

    async def main(_: Namespace) -> tuple[list[float], list[Run]]:
        async with Floor() as floor, KernelDataplane() as dataplane:
            path = await path_in(world, dataplane)
            await floor.samples()
            before = await floor.samples()
            runs = await work(path)
            return before + await floor.samples(), runs

    floors, runs = in_namespace(main)
    floor, samples = percentile(floors, 50), [run.seconds for run in runs]
    p50, p99 = percentile(samples, 50), percentile(samples, 99)
    ratios = p50 / floor, p99 / floor
    note = f"p99 {ratios[1]:.0f} {TIMES} floor of {micro(floor):.1f} µs"
    return Row(
        name,
        what,
        micro(p50),
        micro(p99),
        ratio=ratios[0],
        target=str(limit),
        met=limit.met(*ratios),
        note=note,
        stages=stages(runs),
    )
