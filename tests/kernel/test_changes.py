"""Notifications: the commits of others to our table, never our own, whatever their size."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from corral.dataplane.base import ForeignChange
from corral.dataplane.kernel import KernelDataplane
from corral.dataplane.netlink import LARGE
from corral.nft.transaction import AddCounter, AddElements, AddSet, AddTable, Transaction
from corral.nft.values import NftSet
from tests.dataplane.rulesets import WORKED_EXAMPLE, creation
from tests.kernel.namespaces import Namespace
from tests.kernel.test_commit import WHOLE_NETWORK

ADD = "nft add element inet corral system { 10.42.7.7 }"
BIG = NftSet("big")


@contextlib.asynccontextmanager
async def watching(kernel: KernelDataplane) -> AsyncIterator[Callable[[], asyncio.Future[ForeignChange]]]:
    """Ends with the next change in hand."""
    changes = kernel.changes()
    pending = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)  # until it listens
    waiting = [pending]

    def following() -> asyncio.Future[ForeignChange]:
        if waiting:
            return waiting.pop()
        return asyncio.ensure_future(anext(changes))

    try:
        yield following
    finally:
        pending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pending
        await changes.aclose()


async def generation(kernel: KernelDataplane) -> int:
    dump = await kernel.dump()
    assert dump is not None
    return dump.generation


@pytest.mark.parametrize(
    "command",
    [
        ADD,
        "nft delete table inet corral",
        "nft flush ruleset",
        "nft flush chain inet corral forward",
        "nft add rule inet corral forward accept",
        "nft delete element inet corral dispatch { 10.42.0.2 : drop }",
        "nft add counter inet corral theirs",
    ],
)
async def test_a_foreign_commit_is_told_with_its_author(
    kernel: KernelDataplane, namespace: Namespace, command: str
) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    before = await generation(kernel)
    async with watching(kernel) as following:
        namespace.run(command)
        change = await following()
    assert (change.generation, change.process, change.lost) == (before + 1, "nft", False)
    assert change.pid > 0


async def test_our_own_commits_and_other_tables_are_not_told(kernel: KernelDataplane, namespace: Namespace) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    async with watching(kernel) as following:
        await kernel.commit(Transaction((AddCounter("ours"),)))
        namespace.run("nft add table ip corral", "nft add counter ip corral theirs", "nft add table inet other")
        expected = await generation(kernel) + 1
        namespace.run(ADD)
        assert (await following()).generation == expected


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_our_own_big_commits_are_not_told_either(
    namespace: Namespace, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def run() -> None:
        async with KernelDataplane() as kernel:
            await kernel.commit(creation(WORKED_EXAMPLE))
            async with watching(kernel) as following:
                await kernel.commit(Transaction((AddSet(BIG), AddElements("big", BIG, WHOLE_NETWORK))))
                expected = await generation(kernel) + 1
                namespace.run(ADD)
                assert (await following()).generation == expected

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


async def test_a_foreign_commit_during_a_big_one_of_ours_is_noticed(
    kernel: KernelDataplane, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    send = kernel._commits.send

    async def send_after_another(data: bytes, *, slow: bool = False) -> None:
        if len(data) > LARGE:
            namespace.run(ADD)
        await send(data, slow=slow)

    monkeypatch.setattr(kernel._commits, "send", send_after_another)
    async with watching(kernel) as following:
        await kernel.commit(Transaction((AddSet(BIG), AddElements("big", BIG, WHOLE_NETWORK))))
        assert await following() == ForeignChange(lost=True)


async def test_a_foreign_commit_that_is_still_being_told_when_a_big_one_of_ours_begins_is_noticed(
    kernel: KernelDataplane,
) -> None:
    """The generation counts it a good while before its notifications come."""
    await kernel.commit(Transaction((AddTable(), AddSet(NftSet("theirs")), AddSet(BIG))))
    before = await generation(kernel)
    elements = ", ".join(map(str, WHOLE_NETWORK))
    async with watching(kernel) as following:
        other = await asyncio.create_subprocess_exec("nft", "-f", "-", stdin=asyncio.subprocess.PIPE)
        writing = asyncio.ensure_future(
            other.communicate(f"add element inet corral theirs {{ {elements} }}\n".encode())
        )
        while await kernel._generation(kernel._queries) == before:  # noqa: ASYNC110 - nothing tells of it earlier
            await asyncio.sleep(0)
        await kernel.commit(Transaction((AddElements("big", BIG, WHOLE_NETWORK),)))
        await writing
        async with asyncio.timeout(10):
            seen = await following()
        assert seen.lost or seen.process == "nft"


async def test_a_reader_that_goes_during_a_big_commit_costs_it_nothing(
    kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, sending = kernel._commits.send, asyncio.Event()

    async def announce_and_send(data: bytes, *, slow: bool = False) -> None:
        if len(data) > LARGE:
            sending.set()
        await send(data, slow=slow)

    monkeypatch.setattr(kernel._commits, "send", announce_and_send)
    async with watching(kernel):
        everything = Transaction((AddTable(), AddSet(BIG), AddElements("big", BIG, WHOLE_NETWORK)))
        committing = asyncio.ensure_future(kernel.commit(everything))
        await sending.wait()
    await committing
    assert kernel._watch is None


async def test_a_reader_that_could_not_listen_does_not_keep_the_next_one_away(
    kernel: KernelDataplane, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_group: int) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    await kernel.commit(creation(WORKED_EXAMPLE))
    with monkeypatch.context() as patched:
        patched.setattr(kernel._notifications, "join", refuse)
        with pytest.raises(OSError, match="no memory"):
            await anext(kernel.changes())
    async with watching(kernel) as following:
        namespace.run(ADD)
        assert (await following()).process == "nft"


async def test_overrun_is_told(kernel: KernelDataplane, namespace: Namespace) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    kernel._notifications._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    async with watching(kernel) as following:
        namespace.run(*(f"nft add counter inet corral theirs-{number}" for number in range(10)))
        seen = await following()
        while not seen.lost:
            seen = await following()


async def test_the_dataplane_can_be_closed_under_its_reader(namespace: Namespace) -> None:
    async with KernelDataplane() as closing:
        await closing.commit(creation(WORKED_EXAMPLE))
        changes = closing.changes()
        pending = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)  # until it listens
    pending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pending


async def test_there_is_one_reader_at_a_time_and_then_another(kernel: KernelDataplane, namespace: Namespace) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    async with watching(kernel):
        with pytest.raises(RuntimeError):
            await anext(kernel.changes())
    async with watching(kernel) as following:
        namespace.run(ADD)
        assert (await following()).process == "nft"
