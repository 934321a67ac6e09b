"""The fake's faults; that it behaves like the kernel otherwise is for the conformance tests."""

from __future__ import annotations

import asyncio
import errno

import pytest

from corral.dataplane.base import ForeignChange
from corral.dataplane.fake import FakeDataplane, FakeFlowLog
from corral.dataplane.flows.conntrack import TrackedFlow
from corral.dataplane.flows.flowlog import LoggedPacket
from corral.errors import CommitError, DataplaneError, UncertainError
from corral.nft.transaction import AddCounter, AddTable, DeleteCounter, Transaction
from corral.types import Address

TABLE = Transaction((AddTable(), AddCounter("first")))
MORE = Transaction((AddCounter("second"), AddCounter("third")))


async def counters(fake: FakeDataplane) -> set[str]:
    return set(await fake.counters())


async def test_a_failure_is_at_the_operation_asked_for_and_once() -> None:
    fake = FakeDataplane()
    await fake.commit(TABLE)
    fake.fail_next(errno.ENOMEM, operation=1)
    with pytest.raises(CommitError, match="add counter inet corral third") as caught:
        await fake.commit(MORE)
    assert caught.value.errno == errno.ENOMEM
    assert await counters(fake) == {"first"}
    await fake.commit(MORE)
    assert await counters(fake) == {"first", "second", "third"}


@pytest.mark.parametrize("applied", [True, False])
async def test_a_lost_acknowledgement_leaves_both_possible(applied: bool) -> None:
    fake = FakeDataplane()
    fake.lose_next_acknowledgement(applied=applied)
    with pytest.raises(UncertainError):
        await fake.commit(TABLE)
    assert (await fake.dump() is not None) == applied


async def test_others_changes_are_told_and_ours_are_not() -> None:
    fake = FakeDataplane()
    await fake.commit(TABLE)
    seen = fake.changes()
    first = asyncio.ensure_future(anext(seen))
    await asyncio.sleep(0)
    await fake.commit(MORE)
    fake.interfere(Transaction((DeleteCounter("first"),)), pid=7, process="firewalld")
    fake.lose_notifications()
    dump = await fake.dump()
    assert dump is not None
    assert await first == ForeignChange(dump.generation, 7, "firewalld")
    assert await anext(seen) == ForeignChange(lost=True)
    assert await counters(fake) == {"second", "third"}


async def test_commits_are_recorded_and_refused_ones_are_not() -> None:
    fake = FakeDataplane()
    await fake.commit(TABLE)
    with pytest.raises(CommitError):
        await fake.commit(TABLE)
    assert fake.committed == [TABLE]


async def test_counters_count_until_they_go() -> None:
    fake = FakeDataplane()
    await fake.commit(TABLE)
    fake.count("first", 2, 100)
    fake.count("first", 1, 60)
    assert await fake.counters() == {"first": (3, 160)}
    await fake.delete_table()
    await fake.commit(TABLE)
    assert await fake.counters() == {"first": (0, 0)}


async def test_alien_things_are_in_the_dump() -> None:
    fake = FakeDataplane()
    await fake.commit(TABLE)
    fake.alien = ("a flowtable",)
    dump = await fake.dump()
    assert dump is not None
    assert dump.alien == ("a flowtable",)


async def test_a_failure_of_the_whole_is_after_all_operations() -> None:
    fake = FakeDataplane()
    await fake.commit(TABLE)
    fake.fail_next(errno.ENOMEM, operation=None)
    with pytest.raises(CommitError, match="refused the transaction"):
        await fake.commit(MORE)
    assert await counters(fake) == {"first"}
    assert fake.attempted == [TABLE, MORE]


async def test_a_table_can_be_unreadable_for_once() -> None:
    fake = FakeDataplane()
    await fake.commit(TABLE)
    fake.fail_next_dump(UncertainError("as asked"))
    with pytest.raises(UncertainError):
        await fake.dump()
    assert await fake.dump() is not None
    assert fake.dumps == 2


async def test_a_held_commit_goes_on_when_released() -> None:
    fake = FakeDataplane()
    fake.hold()
    committing = asyncio.ensure_future(fake.commit(TABLE))
    await asyncio.sleep(0)
    assert fake.attempted
    assert await fake.dump() is None
    fake.release()
    await committing
    assert await fake.dump() is not None


async def test_a_log_of_packets_reports_what_it_is_given() -> None:
    fake = FakeFlowLog()
    fake.failures = [DataplaneError("as asked")]
    with pytest.raises(DataplaneError, match="as asked"):
        await fake.open()
    await fake.open()
    packet = LoggedPacket("corral deny x", None, None)
    fake.report(packet)
    assert await anext(fake.packets()) == packet
    assert await fake.flow_of(packet) is None
    flow = TrackedFlow(Address(1), None, Address(2), None, 1, "answered", answered=True)
    fake.flows[packet] = flow
    assert await fake.flow_of(packet) == flow
    fake.close()
