"""The floor: one set element added in one transaction, from bytes that are packed already. Everything is a multiple."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop

from corral.dataplane.batch import Batch, Committed
from corral.dataplane.codec import encode
from corral.dataplane.netlink import NETLINK_NETFILTER, NetlinkSocket
from corral.nft.transaction import AddElements, AddSet, AddTable, DeleteElements, Operation, Transaction
from corral.nft.values import NftSet
from corral.sandbox.links import Links
from corral.sandbox.namespace import Namespace
from corral.types import Address

Result = TypeVar("Result")
_SET = NftSet("floor")
_FIRST = Address.parse("10.42.0.1")


def in_namespace(main: Callable[[Namespace], Coroutine[Any, Any, Result]]) -> Result:
    """Run a loop, the agent's kind, whose whole thread is in a namespace of its own with a loopback."""
    namespace = Namespace.create()
    try:
        links = Links(namespace)
        links.up("lo")
        links.close()
        with namespace, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main(namespace))
    finally:
        namespace.close()


class Floor:
    """A table with one set, in a namespace of its own, so that what is measured beside it is left alone."""

    def __init__(self) -> None:
        namespace = Namespace.create()
        try:
            with namespace, ExitStack() as opened:
                self._socket = opened.enter_context(NetlinkSocket(NETLINK_NETFILTER))
                self._opened = opened.pop_all()
        finally:
            namespace.close()

    async def __aenter__(self) -> Self:
        await self._commit(AddTable(), AddSet(_SET))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    async def samples(self, count: int = 300) -> list[float]:
        """Seconds of `count` transactions, one after the other; the set is empty again afterwards."""
        addresses = tuple(Address(_FIRST + number) for number in range(count))
        batches = [self._batch(AddElements(_SET.name, _SET, (address,))) for address in addresses]
        samples = []
        for batch in batches:
            started = perf_counter()
            await self._send(batch)
            samples.append(perf_counter() - started)
        await self._commit(DeleteElements(_SET.name, _SET, addresses))
        return samples

    def _batch(self, *operations: Operation) -> Batch:
        messages = encode(Transaction(operations))
        return Batch(messages, self._socket.next_sequence(len(messages) + 2))

    async def _commit(self, *operations: Operation) -> None:
        await self._send(self._batch(*operations))

    async def _send(self, batch: Batch) -> None:
        await self._socket.send(batch.data)
        for datagram in self._socket.drain():
            batch.receive(datagram or b"")
        if batch.outcome() != Committed():
            raise RuntimeError(f"the floor's transaction was refused: {batch.outcome()}")
