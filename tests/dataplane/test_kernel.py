"""How the kernel's refusals become errors with a remedy. That the table is right is for tests/kernel."""

from __future__ import annotations

import errno
import struct
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from corral.dataplane import codec
from corral.dataplane.kernel import KernelDataplane
from corral.errors import CommitError, DataplaneError, UncertainError, UnsupportedError
from corral.nft.transaction import AddCounter, AddElements, AddSet, AddTable, Transaction
from corral.nft.values import NftSet
from corral.types import Address
from tests.kernel.namespaces import Namespace

TRANSACTION = Transaction((AddTable(), AddCounter("a")))
BEGIN, TABLE, COUNTER, END = range(4)


@pytest.fixture
async def kernel() -> AsyncIterator[KernelDataplane]:
    with Namespace() as namespace, namespace.entered():
        async with KernelDataplane() as opened:
            yield opened


def refuse(kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch, place: int, number: int) -> None:
    """Let the next commit be answered like this, instead of sent."""
    first = kernel._commits._sequence

    async def send(_data: bytes, *, slow: bool = False) -> None:
        assert not slow

    def drain() -> Iterator[bytes]:
        quoted = bytes(16)
        yield struct.pack("=IHHIIi", 36, 2, 0, first + place, 0, -number) + quoted

    monkeypatch.setattr(kernel._commits, "send", send)
    monkeypatch.setattr(kernel._commits, "drain", drain)


@pytest.mark.parametrize(
    ("place", "number", "words"),
    [
        (BEGIN, errno.EPERM, "CAP_NET_ADMIN"),
        (BEGIN, errno.EOPNOTSUPP, "nf_tables"),
        (TABLE, errno.EAFNOSUPPORT, "inet"),
        (TABLE, errno.EOPNOTSUPP, "nf_tables"),
    ],
)
async def test_what_the_kernel_lacks_comes_with_the_remedy(
    kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch, place: int, number: int, words: str
) -> None:
    refuse(kernel, monkeypatch, place, number)
    with pytest.raises(UnsupportedError, match=words) as caught:
        await kernel.commit(TRANSACTION)
    assert caught.value.errno == number


async def test_other_refusals_are_of_the_transaction(kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(kernel, monkeypatch, BEGIN, errno.ENOMEM)
    with pytest.raises(CommitError, match=r"the transaction: .*ENOMEM"):
        await kernel.commit(TRANSACTION)


async def test_an_operations_own_error_is_not_the_kernels_lack(
    kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(kernel, monkeypatch, COUNTER, errno.EOPNOTSUPP)
    with pytest.raises(CommitError, match="add counter inet corral a"):
        await kernel.commit(TRANSACTION)


@pytest.mark.parametrize("place", [BEGIN, TABLE, COUNTER, END])
async def test_every_errno_at_every_place_is_a_refusal_and_never_success(
    kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    for number in sorted(errno.errorcode):
        refuse(kernel, monkeypatch, place, number)
        with pytest.raises((CommitError, UnsupportedError)) as caught:
            await kernel.commit(TRANSACTION)
        assert caught.value.errno == number
        monkeypatch.undo()
    assert await kernel.dump() is None


@pytest.mark.parametrize(("number", "kind"), [(errno.EMSGSIZE, UnsupportedError), (errno.ENOBUFS, CommitError)])
async def test_what_was_not_even_sent_is_refused(
    kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[DataplaneError]
) -> None:
    async def send(_data: bytes, *, slow: bool = False) -> None:
        raise OSError(number, f"not sent, {slow}")

    monkeypatch.setattr(kernel._commits, "send", send)
    with pytest.raises(kind) as caught:
        await kernel.commit(TRANSACTION)
    assert caught.value.errno == number


async def test_a_table_that_never_stands_still_is_not_dumped(
    kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kernel.commit(TRANSACTION)
    generations = iter(range(1000))

    async def generation(_: object) -> int:
        return next(generations)

    monkeypatch.setattr(kernel, "_generation", generation)
    with pytest.raises(UncertainError, match="changed during each"):
        await kernel.dump()


async def test_a_change_under_a_dump_is_not_half_seen(kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch) -> None:
    await kernel.commit(TRANSACTION)
    read = kernel._read_objects
    more = iter([Transaction((AddCounter("b"),))])

    async def read_and_change(decoder: object) -> None:
        await read(decoder)  # type: ignore[arg-type]
        for transaction in more:
            await kernel.commit(transaction)

    monkeypatch.setattr(kernel, "_read_objects", read_and_change)
    dump = await kernel.dump()
    assert dump is not None
    assert dump.ruleset.counters == {"a", "b"}


async def test_much_is_encoded_in_a_thread_and_little_is_not(
    kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def encode(transaction: Transaction) -> list[codec.Message]:
        threads.append(threading.get_ident())
        return codec.encode(transaction)

    monkeypatch.setattr("corral.dataplane.kernel.encode", encode)
    many = AddElements("set", NftSet("set"), tuple(map(Address, range(30_000))))
    await kernel.commit(TRANSACTION)
    await kernel.commit(Transaction((AddSet(NftSet("set")), many)))
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [True, False]


async def test_what_can_not_be_encoded_is_refused_from_a_thread_too(kernel: KernelDataplane) -> None:
    wrong = AddElements("set", NftSet("set"), (*map(Address, range(30_000)), 7))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not 7"):
        await kernel.commit(Transaction((*TRANSACTION.operations, wrong)))
    await kernel.commit(TRANSACTION)
