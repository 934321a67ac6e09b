"""Desired to kernel: refusals, silence and foreign hands all end with the kernel as it should be."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from corral.daemon.desk import Desk
from corral.daemon.engine import FAILURES_BEFORE_REPLACEMENT, FAILURES_BEFORE_THE_END, FIGHT_REPAIRS, Engine
from corral.daemon.pacing import Pacing
from corral.daemon.programming import GRACE
from corral.dataplane.base import Dump
from corral.dataplane.fake import FakeDataplane
from corral.errors import UncertainError
from corral.nft.transaction import AddChain, AddRule, AddSet, AddTable, DeleteTable, FlushChain, Transaction
from corral.nft.values import Chain, NftMap, NftRule, Ruleset, Verb, Verdict
from corral.sources.backoff import Backoff
from corral.types import Subnet

from .running import desk_of, small_environment, snapshot_of, until


@contextmanager
def written_logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, but for the details of level debug."""
    written: list[MutableMapping[str, Any]] = []
    with capture_logs() as logs:
        yield written
        written += [entry for entry in logs if entry["log_level"] != "debug"]


class Bench:
    """A desk, an engine and a table in memory. `patience` is the first delay after a refusal."""

    def __init__(self, patience: float = 0.05) -> None:
        self.environment = small_environment()
        self.desk: Desk = desk_of(self.environment)
        self.dataplane = FakeDataplane()
        self.engine = Engine(
            self.dataplane, self.desk.tracker, self.desk.facts, enforceable=lambda: self.desk.enforceable
        )
        self.engine._backoff = Backoff(first=patience, limit=0.1)
        self.engine._pacing = Pacing(interval=0.0)

    async def table(self) -> Ruleset | None:
        dump = await self.dataplane.dump()
        return dump.ruleset if dump else None

    def change(self, action: str = "deny") -> None:
        """Wish for another ruleset."""
        self.environment.set_policy(
            [{"between": {"groupBy": f"label-{len(self.dataplane.attempted)}"}, "action": "allow"}], action
        )
        self.desk.load(snapshot_of(self.environment), 1.0)
        self.engine.wake()

    async def settled(self) -> None:
        """Wait until the kernel holds what is desired."""

        async def holds() -> bool:
            return self.desk.facts.programmed and await self.table() == self.desk.tracker.desired_ruleset()

        await until(holds)


@asynccontextmanager
async def bench(patience: float = 0.05) -> AsyncIterator[Bench]:
    made = Bench(patience)
    task = asyncio.create_task(made.engine.run())
    try:
        made.engine.wake()
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_first_round_installs_everything_in_one_transaction() -> None:
    async with bench() as made:
        await made.settled()
        assert len(made.dataplane.committed) == 1
        assert made.desk.facts.commits == 1
        assert made.desk.facts.repairs == 0


async def test_an_intact_table_is_adopted_without_a_message() -> None:
    async with bench() as first:
        await first.settled()
    second = Bench()
    second.engine = Engine(
        first.dataplane, second.desk.tracker, second.desk.facts, enforceable=lambda: second.desk.enforceable
    )
    second.dataplane = first.dataplane
    task = asyncio.create_task(second.engine.run())
    second.engine.wake()
    await second.settled()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert second.desk.facts.commits == 0
    assert len(first.dataplane.committed) == 1


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EBUSY, errno.EINVAL])
async def test_a_refused_transaction_is_told_and_tried_again_after_a_comparison(number: int) -> None:
    async with bench() as made:
        await made.settled()
        made.dataplane.fail_next(number)
        made.environment.remove_container("back-job-1")
        made.desk.load(snapshot_of(made.environment), 1.0)
        made.engine.wake()
        await made.settled()
        assert made.desk.facts.failed_commits == 1
        assert made.desk.facts.kernel_error is None


async def test_what_can_not_be_written_is_told_and_ends_nothing() -> None:
    async with bench() as made:
        await made.settled()
        subnets = (Subnet.parse("10.42.0.0/16"),)
        made.desk._compiler.set_boundary(subnets, "a-name-too-long-for-any-interface")
        made.engine.wake()
        await until(lambda: made.desk.facts.kernel_error is not None)
        assert "not committed" in str(made.desk.facts.kernel_error)
        assert not made.desk.facts.ready
        made.desk._compiler.set_boundary(subnets, "docker0")
        made.engine.wake()
        await made.settled()
        assert made.desk.facts.kernel_error is None


@pytest.mark.parametrize("applied", [True, False])
async def test_a_lost_acknowledgement_is_settled_by_comparing(applied: bool) -> None:
    async with bench() as made:
        await made.settled()
        made.dataplane.lose_next_acknowledgement(applied=applied)
        made.environment.remove_container("back-job-1")
        made.desk.load(snapshot_of(made.environment), 1.0)
        made.engine.wake()
        await made.settled()
        assert made.desk.facts.failed_commits == 1


@pytest.mark.parametrize(
    "interference",
    [Transaction((AddTable(), DeleteTable())), Transaction((AddChain(Chain("foreign", ())),))],
    ids=["table deleted", "chain added"],
)
async def test_what_others_did_is_undone_and_counted_once(interference: Transaction) -> None:
    async with bench() as made:
        await made.settled()
        made.dataplane.interfere(interference)
        made.engine.doubt("somebody")
        await until(lambda: made.desk.facts.repairs > 0)
        await made.settled()
        assert (made.desk.facts.repairs, made.desk.facts.last_repair) == (1, "somebody")


async def test_a_comparison_that_finds_nothing_writes_nothing() -> None:
    async with bench() as made:
        await made.settled()
        made.desk.facts.programmed = False
        made.engine.doubt("SIGHUP")
        await made.settled()
        assert (made.desk.facts.commits, made.desk.facts.repairs) == (1, 0)


async def test_what_nothing_refers_to_any_more_is_removed_later() -> None:
    async with bench() as made:
        await made.settled()
        made.environment.set_policy([], "deny")
        made.desk.load(snapshot_of(made.environment), 1.0)
        made.engine.wake()
        await made.settled()
        assert made.desk.facts.commits >= 3


# Where in a batch of three the kernel may refuse; None is begin or end.
@pytest.mark.parametrize("place", [0, 1, 2, None])
async def test_no_errno_at_any_place_is_taken_for_success_or_leaves_half_a_change(place: int | None) -> None:
    async with bench(patience=1e-4) as made:
        await made.settled()
        for count, number in enumerate(sorted(errno.errorcode), 1):
            before, dumps = await made.table(), made.dataplane.dumps
            for name in "abc":
                made.desk.tracker.put_counter(f"{name}-{number}")
            made.engine.wake()
            made.dataplane.fail_next(number, place)
            await until(lambda count=count: made.desk.facts.failed_commits == count)  # type: ignore[misc]
            assert errno.errorcode[number] in str(made.desk.facts.kernel_error)
            assert not made.desk.facts.ready
            assert await made.table() == before
            await until(lambda: made.desk.facts.programmed)
            assert await made.table() == made.desk.tracker.desired_ruleset()
            assert made.dataplane.dumps == dumps + 3  # two of them ours
            assert made.desk.facts.kernel_error is None


@pytest.mark.parametrize("applied", [True, False])
async def test_acknowledgements_lost_again_and_again_end_in_the_right_table(applied: bool) -> None:
    async with bench(patience=1e-4) as made:
        await made.settled()
        made.change()
        for _ in range(7):
            made.dataplane.lose_next_acknowledgement(applied=applied)
        await made.settled()
        assert made.desk.facts.failed_commits >= (1 if applied else 7)


async def test_a_refusal_that_goes_on_is_answered_by_replacing_the_whole_table_and_told() -> None:
    async with bench(patience=1e-4) as made:
        await made.settled()
        for _ in range(FAILURES_BEFORE_REPLACEMENT):
            made.dataplane.fail_next(errno.EBUSY)
        with written_logs() as logs:
            made.change()
            await made.settled()
        *refused, replacing = made.dataplane.attempted[1:]
        assert [DeleteTable() in transaction.operations for transaction in refused] == [False] * len(refused)
        assert replacing.operations[:3] == (AddTable(), DeleteTable(), AddTable())
        assert [entry["event"] for entry in logs] == ["kernel refused", "ruleset repaired"]
        assert "EBUSY" in logs[1]["cause"]


async def test_a_refusal_for_good_is_tried_again_ever_more_slowly() -> None:
    async with bench(patience=1e-4) as made:
        await made.settled()
        for _ in range(50):
            made.dataplane.fail_next(errno.ENOMEM)
        delays: list[float] = []
        backoff = Backoff(first=0.05, limit=2.0, rng=lambda: 1.0)

        class AtOnce(Backoff):
            def next_delay(self) -> float:
                delays.append(backoff.next_delay())
                return 0.0

        made.engine._backoff = AtOnce()
        made.change()
        await made.settled()
        assert delays[:8] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
        assert len(delays) == 50
        same = [a == b for a, b in pairwise(made.dataplane.attempted[1:])]
        assert sum(same) < len(same)


async def test_a_table_that_can_not_be_read_is_replaced_unread() -> None:
    async with bench(patience=1e-4) as made:
        await made.settled()
        wanted = await made.table()
        made.dataplane.interfere(Transaction((FlushChain("forward"),)))
        for _ in range(FAILURES_BEFORE_REPLACEMENT):
            made.dataplane.fail_next_dump(UncertainError("it never stands still"))
        made.engine.doubt("somebody")
        await until(lambda: made.desk.facts.repairs > 0)
        assert await made.table() == wanted
        assert not made.dataplane._unreadable


async def test_an_unexpected_error_is_told_and_survived() -> None:
    async with bench(patience=1e-4) as made:
        await made.settled()
        for _ in range(2):
            made.dataplane.fail_next_dump(KeyError("what nobody thought of"))
        with written_logs() as logs:
            made.engine.doubt("somebody")
            await until(lambda: made.desk.facts.kernel_error is not None)
            assert "KeyError('what nobody thought of')" in str(made.desk.facts.kernel_error)
            assert not made.desk.facts.ready
            await made.settled()
        assert logs[0]["event"] == "unexpected error while committing"
        assert logs[0]["exc_info"]


async def test_an_unexpected_error_for_good_ends_the_agent() -> None:
    made = Bench(patience=1e-4)
    for _ in range(FAILURES_BEFORE_THE_END):
        made.dataplane.fail_next_dump(KeyError("for good"))
    made.dataplane.fail_next(errno.EBUSY)  # the replacement
    made.engine.wake()
    with pytest.raises(KeyError):
        await asyncio.wait_for(made.engine.run(), 10)
    assert made.desk.facts.failed_commits == FAILURES_BEFORE_THE_END
    assert await made.table() is None


FOREIGN_CHAIN = Chain("foreign", ())
ACCEPT = NftRule((Verdict(Verb.ACCEPT),))


@pytest.mark.parametrize(
    "interference",
    [
        Transaction((AddTable(), DeleteTable())),
        Transaction((FlushChain("forward"),)),
        Transaction((AddChain(FOREIGN_CHAIN), AddRule("foreign", ACCEPT))),
        Transaction((AddChain(FOREIGN_CHAIN), FlushChain("forward"), AddRule("forward", ACCEPT))),
        Transaction((AddTable(), DeleteTable(), AddTable(), AddSet(NftMap("subnets")))),
    ],
    ids=["table deleted", "chain flushed", "chain added", "chain added and another changed", "table planted"],
)
async def test_a_repair_is_one_transaction_and_one_line(interference: Transaction) -> None:
    async with bench() as made:
        await made.settled()
        wanted = await made.table()
        made.dataplane.interfere(interference)
        with written_logs() as logs:
            made.engine.doubt("table changed by nft (pid 7)")
            await until(lambda: made.desk.facts.repairs > 0)
        assert await made.table() == wanted
        assert len(made.dataplane.committed) == 2
        assert [(entry["event"], entry["cause"]) for entry in logs] == [
            ("ruleset repaired", "table changed by nft (pid 7)")
        ]


async def test_a_fight_is_told_until_it_is_over() -> None:
    async with bench() as made:
        await made.settled()
        for count in range(1, FIGHT_REPAIRS + 1):
            assert made.desk.facts.ready == (made.desk.facts.contested is None)
            made.dataplane.interfere(Transaction((FlushChain("forward"),)))
            made.engine.doubt("table changed by nft (pid 7)")
            await until(lambda count=count: made.desk.facts.repairs == count)  # type: ignore[misc]
        assert any("nft (pid 7)" in reason and "again and again" in reason for reason in made.desk.facts.reasons())
        made.engine._calm_at = 0.0
        made.engine.wake()
        await until(lambda: made.desk.facts.contested is None)


async def test_a_change_is_committed_in_the_middle_of_a_fight_and_comparisons_are_rare() -> None:
    async with bench() as made:
        await made.settled()
        made.change()
        wanted = made.desk.tracker.desired_ruleset()
        for _ in range(2000):
            made.engine.doubt("table changed by nft (pid 7)")
            await asyncio.sleep(0)
        await until(lambda: made.desk.facts.programmed)
        assert await made.table() == wanted
        assert made.dataplane.dumps < 1000


async def test_a_held_commit_collects_what_comes_meanwhile_into_one_more() -> None:
    async with bench() as made:
        await made.settled()
        made.dataplane.hold()
        for number in range(100):
            made.desk.tracker.put_counter(f"counter-{number}")
            made.engine.wake()
            await asyncio.sleep(0)
        assert len(made.dataplane.attempted) == 2
        assert not made.desk.facts.programmed
        made.desk.facts.clock = lambda: time.monotonic() + GRACE
        assert not made.desk.facts.ready
        made.dataplane.release()
        await made.settled()
        assert made.desk.facts.commits == 3


async def test_what_is_read_while_the_desired_content_is_lost_changes_nothing() -> None:
    """A failure that leaves nothing to go by clears what is desired: the table must not be taken for unwanted."""
    enforceable, read, go_on = True, asyncio.Event(), asyncio.Event()

    class Slow(FakeDataplane):
        async def dump(self) -> Dump | None:
            found = await super().dump()
            read.set()
            await go_on.wait()
            return found

    desk, dataplane = desk_of(small_environment()), Slow()
    go_on.set()
    engine = Engine(dataplane, desk.tracker, desk.facts, enforceable=lambda: enforceable)
    task = asyncio.create_task(engine.run())
    engine.wake()
    await until(lambda: desk.facts.programmed)
    before = await FakeDataplane.dump(dataplane)
    go_on.clear()
    read.clear()
    engine.doubt("somebody")
    await read.wait()
    enforceable = False
    desk.tracker.clear()
    go_on.set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert await FakeDataplane.dump(dataplane) == before
    assert len(dataplane.committed) == 1
    enforceable = True
    engine.wake()
    await until(lambda: len(dataplane.committed) == 2)
    task.cancel()
    await asyncio.wait([task])


async def test_a_change_that_comes_with_a_comparison_is_no_repair() -> None:
    async with bench() as made:
        await made.settled()
        for _ in range(FIGHT_REPAIRS):
            made.change()
            made.engine.doubt("SIGHUP")
            await made.settled()
        assert (made.desk.facts.repairs, made.desk.facts.contested) == (0, None)


async def test_until_a_repair_is_done_the_agent_is_not_ready() -> None:
    async with bench() as made:
        await made.settled()
        made.dataplane.hold()
        made.dataplane.interfere(Transaction((AddTable(), DeleteTable())))
        made.engine.doubt("somebody")
        await until(lambda: len(made.dataplane.attempted) == 2)
        assert not made.desk.facts.ready
        made.dataplane.release()
        await until(lambda: made.desk.facts.ready)


async def test_a_table_that_can_never_be_read_is_replaced_once_for_each_comparison() -> None:
    async with bench(patience=1e-4) as made:
        await made.settled()
        for _ in range(10 * FAILURES_BEFORE_REPLACEMENT):
            made.dataplane.fail_next_dump(UncertainError("it never stands still"))
        made.engine._compare_at = 0.0
        made.engine.wake()
        await until(lambda: made.desk.facts.repairs == 1)
        assert made.engine._compare_at > time.monotonic() + 1
        assert made.engine._doubt is None
