"""What the kernel really refuses, and answers that do not arrive: nothing is half done, nothing is taken for done."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import socket
import struct
import threading
from collections.abc import Callable

import pytest

from corral.dataplane.kernel import KernelDataplane
from corral.errors import CommitError, DataplaneError, UncertainError, UnsupportedError
from corral.nft.transaction import AddCounter, AddElements, DeleteChain, Transaction
from corral.nft.values import Ruleset
from tests.dataplane.rulesets import WORKED_EXAMPLE, creation
from tests.kernel.namespaces import Namespace
from tests.kernel.test_commit import SYSTEM, WHOLE_NETWORK

NEXT = Transaction((AddCounter("next"),))
BIG = Transaction((AddElements("system", SYSTEM, WHOLE_NETWORK[1:]),))
BIG_AND_WRONG = Transaction((*BIG.operations, AddCounter("next"), DeleteChain("check")))
CAP_NET_ADMIN = 12


async def table(kernel: KernelDataplane) -> Ruleset | None:
    dump = await kernel.dump()
    return dump.ruleset if dump else None


def set_capabilities(change: Callable[[int], int]) -> None:
    """Change what is effective for this thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    data = ctypes.create_string_buffer(24)
    assert libc.capget(header, data) == 0
    effective, *rest = struct.unpack("=6I", data.raw)
    changed = ctypes.create_string_buffer(struct.pack("=6I", change(effective), *rest))
    assert libc.capset(header, changed) == 0


def test_a_privilege_that_is_taken_away_is_named_and_missed_only_as_long(namespace: Namespace) -> None:
    """In a thread of its own, since privileges are a thread's."""

    async def scenario() -> None:
        async with KernelDataplane() as kernel:
            await kernel.commit(creation(WORKED_EXAMPLE))
            set_capabilities(lambda effective: effective & ~(1 << CAP_NET_ADMIN))
            for refused in (kernel.commit(NEXT), kernel.dump(), kernel.delete_table()):
                with pytest.raises(UnsupportedError, match="CAP_NET_ADMIN") as caught:
                    await refused
                assert caught.value.errno == errno.EPERM
            set_capabilities(lambda effective: effective | 1 << CAP_NET_ADMIN)
            assert await table(kernel) == WORKED_EXAMPLE
            await kernel.commit(NEXT)

    failures: list[BaseException] = []

    def run() -> None:
        try:
            with namespace.entered():
                asyncio.run(scenario())
        except BaseException as error:  # told by the thread that waits
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []


async def test_a_transaction_that_the_buffer_can_not_hold_is_not_sent_at_all(
    kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    kernel._commits._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    monkeypatch.setattr(kernel._commits, "_make_room", lambda _: None)
    with pytest.raises(UnsupportedError, match="wmem_max") as caught:
        await kernel.commit(BIG)
    assert caught.value.errno == errno.EMSGSIZE
    assert await table(kernel) == WORKED_EXAMPLE
    await kernel.commit(NEXT)


@pytest.mark.parametrize("transaction", [BIG, BIG_AND_WRONG], ids=["good", "wrong"])
async def test_answers_that_do_not_fit_confirm_nothing(kernel: KernelDataplane, transaction: Transaction) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    commits = kernel._commits._socket
    commits.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    # Fill the buffer with answers that nobody has read.
    stale = struct.pack("=IHHIIBBH", 20, 10 << 8 | 16, 0x5, 0, 0, 0, 0, 0)  # asks for the generation
    with pytest.raises(OSError, match="No buffer space"):  # noqa: PT012 - whichever of them it is
        for _ in range(100):
            commits.send(stale)
        commits.recv(1 << 16)
    commits.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(100):
        commits.send(stale)
    with pytest.raises(UncertainError):
        await kernel.commit(transaction)
    found = await table(kernel)
    if transaction is BIG:
        assert found is not None
        assert found.elements["system"] >= set(WHOLE_NETWORK[1:])
    else:
        assert found == WORKED_EXAMPLE
    with pytest.raises(CommitError, match="EEXIST"):  # not taken for an answer to the one before
        await kernel.commit(Transaction((AddCounter("lost"),)))


async def test_a_full_set_refuses_the_whole(kernel: KernelDataplane, namespace: Namespace) -> None:
    namespace.run(
        "nft -f -", text="table inet corral { set system { type ipv4_addr; size 2; elements = { 10.0.0.1 }; }; }"
    )
    with pytest.raises(CommitError, match="add element inet corral system") as caught:
        await kernel.commit(Transaction((*NEXT.operations, *BIG.operations)))
    assert caught.value.errno == errno.ENFILE
    dump = await kernel.dump()
    assert dump is not None
    assert dump.ruleset.counters == frozenset()
    assert dump.alien == ("set system: its size is 2",)


async def test_a_dead_socket_is_no_success(kernel: KernelDataplane) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    kernel._commits.close()
    with pytest.raises(DataplaneError):
        await kernel.commit(NEXT)
    assert await table(kernel) == WORKED_EXAMPLE
