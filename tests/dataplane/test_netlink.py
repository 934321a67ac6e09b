"""The socket by itself, against the kernel."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from corral.dataplane.messages import frame, nfgen, nftables
from corral.dataplane.netlink import LARGE, NETLINK_NETFILTER, InterruptedDumpError, NetlinkSocket, in_thread
from corral.errors import UncertainError, UnsupportedError
from tests.kernel.namespaces import Namespace

GET_GENERATION, GET_TABLE, GET_CHAIN = nftables(16), nftables(1), nftables(4)


@pytest.fixture
def netlink() -> Iterator[NetlinkSocket]:
    with Namespace() as namespace, namespace.entered(), NetlinkSocket(NETLINK_NETFILTER) as opened:
        yield opened


async def test_a_request_is_answered(netlink: NetlinkSocket) -> None:
    (answer,) = await netlink.request(GET_GENERATION, nfgen(family=0))
    assert answer.type == nftables(15)
    assert answer.port == netlink.port


async def test_an_error_is_an_os_error_with_its_number(netlink: NetlinkSocket) -> None:
    with pytest.raises(OSError, match="Invalid argument") as caught:
        await netlink.request(nftables(250), nfgen())
    assert caught.value.errno == errno.EINVAL
    await netlink.request(GET_GENERATION, nfgen(family=0))


async def test_a_dump_of_nothing_is_empty(netlink: NetlinkSocket) -> None:
    assert await netlink.dump(GET_CHAIN, nfgen()) == []


def _make_chains(count: int) -> None:
    chains = "".join(f"add chain inet t {'x' * 50}{number}\n" for number in range(count))
    with Namespace.here() as namespace:
        namespace.run("nft -f -", text="add table inet t\n" + chains)


async def test_a_long_dump_is_whole(netlink: NetlinkSocket) -> None:
    _make_chains(2000)
    assert len(await netlink.dump(GET_CHAIN, nfgen())) == 2000


async def test_a_dump_that_was_given_up_does_not_spoil_the_next_one(netlink: NetlinkSocket) -> None:
    _make_chains(2000)
    await netlink.send(frame(GET_CHAIN, 0x301, 1, nfgen()))
    assert len(await netlink.dump(GET_CHAIN, nfgen())) == 2000
    (answer,) = await netlink.request(GET_GENERATION, nfgen(family=0))
    assert answer.type == nftables(15)


async def test_no_answer_is_uncertain(netlink: NetlinkSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink, "_ask", lambda *_: 1)
    with pytest.raises(UncertainError):
        await netlink.request(GET_GENERATION, nfgen(family=0))
    with pytest.raises(UncertainError):
        await netlink.dump(GET_TABLE, nfgen())


async def test_a_lost_part_interrupts_a_dump(netlink: NetlinkSocket) -> None:
    asked = netlink._ask

    def ask_and_lose(kind: int, flags: int, payload: bytes) -> int:
        sequence = asked(kind, flags, payload)
        _overrun(netlink)
        return sequence

    netlink._ask = ask_and_lose  # type: ignore[method-assign]
    with pytest.raises(InterruptedDumpError):
        await netlink.dump(GET_CHAIN, nfgen())


async def test_what_was_lost_shows_in_what_is_drained(netlink: NetlinkSocket) -> None:
    _overrun(netlink)
    assert None in list(netlink.drain())


def _overrun(netlink: NetlinkSocket) -> None:
    netlink._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(50):
        netlink._socket.send(frame(GET_GENERATION, 1, 9, nfgen(family=0)))


async def test_a_batch_of_any_size_fits(netlink: NetlinkSocket) -> None:
    size = 20 << 20
    await netlink.send(frame(GET_GENERATION, 5, 7, nfgen(bytes(size), family=0)))
    assert list(netlink.drain())
    assert size > LARGE


async def test_sequence_numbers_are_reserved(netlink: NetlinkSocket) -> None:
    first = netlink.next_sequence(5)
    assert netlink.next_sequence() == first + 5


def test_a_protocol_that_the_kernel_does_not_have_is_unsupported() -> None:
    with pytest.raises(UnsupportedError) as caught:
        NetlinkSocket(31)
    assert caught.value.errno == errno.EPROTONOSUPPORT


async def test_a_call_in_a_thread_finishes_before_it_is_cancelled() -> None:
    running, proceed = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def call() -> int:
        loop.call_soon_threadsafe(running.set)
        proceed.wait()
        return threading.get_ident()

    first = asyncio.ensure_future(in_thread(call))
    await running.wait()
    for _ in range(3):
        first.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    was_done = first.done()
    proceed.set()
    assert not was_done
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await in_thread(call) != threading.get_ident()


async def test_the_kernel_does_not_wait_for_other_work_in_threads() -> None:
    ended, loop = threading.Event(), asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, ended.wait)
    committing = asyncio.ensure_future(in_thread(lambda: "committed"))
    done, _ = await asyncio.wait({committing}, timeout=5)
    ended.set()
    await busy
    assert done == {committing}
    assert await committing == "committed"
