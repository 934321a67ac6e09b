"""The dataplane in the kernel."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Self

from pyroute2.netlink.nfnetlink.nftsocket import (
    NFT_MSG_GETCHAIN,
    NFT_MSG_GETFLOWTABLE,
    NFT_MSG_GETGEN,
    NFT_MSG_GETOBJ,
    NFT_MSG_GETRULE,
    NFT_MSG_GETSET,
    NFT_MSG_GETSETELEM,
    NFT_MSG_GETTABLE,
    nft_gen_msg,
)

from corral.dataplane.base import Dump, ForeignChange, refusal
from corral.dataplane.batch import Batch, Committed, Refused, Unconfirmed
from corral.dataplane.codec import Message, encode, takes_long
from corral.dataplane.decode import TableDecoder, counter_values
from corral.dataplane.elements import unpack
from corral.dataplane.host.capability import remedy_for_lack
from corral.dataplane.messages import (
    FAMILY,
    HEADER,
    IN_TABLE,
    TABLE,
    attributes,
    decode,
    errno_name,
    in_table,
    nfgen,
    nftables,
)
from corral.dataplane.monitor import NFTABLES_GROUP, Monitor, PortFilter
from corral.dataplane.netlink import LARGE, NETLINK_NETFILTER, InterruptedDumpError, NetlinkSocket, in_thread
from corral.errors import CommitError, DataplaneError, UncertainError, UnsupportedError
from corral.nft.transaction import (
    AddElements,
    AddTable,
    AddVerdicts,
    DeleteChain,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    DeleteVerdicts,
    Operation,
    Transaction,
)
from corral.types import Address

_DUMP_ATTEMPTS = 10
_DUMP_PAUSE = 0.01  # seconds, more each time: 0.45 in all
_NOTIFICATIONS_AT_ONCE = 16  # datagrams
_NOTIFICATIONS_DISCARDED = 10_000  # datagrams, more than the buffer holds
_TABLE_ATTRIBUTE = 1  # of every kind of object
_ELEMENTS_SET = 2  # NFTA_SET_ELEM_LIST_SET

_WAITING: frozenset[type[Operation]] = frozenset({DeleteChain, DeleteSet, DeleteTable})

_NO_NFTABLES = "the kernel has no nftables: load the module nf_tables, or use a kernel with CONFIG_NF_TABLES"
_NO_INET = "the kernel has no nftables tables of family inet (CONFIG_NF_TABLES_INET)"
_NO_PRIVILEGE = frozenset({errno.EPERM, errno.EACCES})
_UNSUPPORTED = {
    errno.EOPNOTSUPP: _NO_NFTABLES,
    errno.EPROTONOSUPPORT: _NO_NFTABLES,
    errno.EAFNOSUPPORT: _NO_INET,
}


class KernelDataplane:
    """Table `inet corral` in the network namespace of the thread that enters this context."""

    def __init__(self) -> None:
        self._commits: NetlinkSocket
        self._queries: NetlinkSocket
        self._notifications: NetlinkSocket
        self._opened = ExitStack()
        self._watch: _Watch | None = None
        self._committing = asyncio.Lock()
        self._querying = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Open the sockets. Raises UnsupportedError when the kernel or our privileges lack something."""
        with ExitStack() as opened:
            self._commits = opened.enter_context(NetlinkSocket(NETLINK_NETFILTER))
            self._queries = opened.enter_context(NetlinkSocket(NETLINK_NETFILTER))
            self._notifications = opened.enter_context(NetlinkSocket(NETLINK_NETFILTER))
            await self._generation(self._queries)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.stop()
        self._opened.close()

    async def commit(self, transaction: Transaction) -> None:
        """See `Dataplane`. An empty transaction sends nothing."""
        async with self._committing:
            messages = await in_thread(partial(encode, transaction)) if takes_long(transaction) else encode(transaction)
            if not messages:
                return
            batch = Batch(messages, self._commits.next_sequence(len(messages) + 2))
            await self._send_unobserved(batch, transaction)
        outcome = batch.outcome()
        if isinstance(outcome, Unconfirmed):
            raise UncertainError("the kernel did not confirm a transaction: compare before going on")
        if isinstance(outcome, Refused):
            raise _refused(outcome, messages, transaction)

    async def _send(self, batch: Batch, transaction: Transaction) -> None:
        try:
            await self._commits.send(batch.data, slow=_waits(transaction))
        except OSError as error:
            raise _not_sent(error, len(batch.data)) from error
        for datagram in self._commits.drain():
            batch.receive(datagram)

    async def delete_table(self) -> None:
        """See `Dataplane`."""
        await self.commit(Transaction((AddTable(), DeleteTable())))

    async def dump(self) -> Dump | None:
        """See `Dataplane`. One state of the whole table, whoever is committing meanwhile."""
        async with self._querying:
            for attempt in range(_DUMP_ATTEMPTS):
                await asyncio.sleep(attempt * _DUMP_PAUSE)
                try:
                    before = await self._generation(self._queries)
                    dumped = await self._read_table(before)
                    if before == await self._generation(self._queries):
                        return dumped
                except InterruptedDumpError:
                    continue
                except OSError as error:
                    if error.errno != errno.ENOENT:  # a set may go between its listing and that of its elements
                        raise _failure(error.errno or 0, f"can not read table inet {TABLE}") from error
        raise UncertainError(f"table inet {TABLE} changed during each of {_DUMP_ATTEMPTS} attempts to read it")

    async def _read_table(self, generation: int) -> Dump | None:
        decoder = TableDecoder()
        try:
            for answer in await self._queries.request(nftables(NFT_MSG_GETTABLE), IN_TABLE):
                decoder.table(answer.payload)
        except FileNotFoundError:
            return None
        await self._read_objects(decoder)
        for name in decoder.names_of_sets:
            async for payload in self._list(NFT_MSG_GETSETELEM, in_table(_ELEMENTS_SET, name)):
                decoder.elements(name, payload)
        if decoder.torn:
            raise InterruptedDumpError
        ruleset, alien = decoder.result()
        return Dump(ruleset, alien, generation)

    async def _read_objects(self, decoder: TableDecoder) -> None:
        async for payload in self._list(NFT_MSG_GETOBJ, IN_TABLE):
            decoder.counter(payload)
        async for payload in self._list(NFT_MSG_GETSET, IN_TABLE):
            decoder.set(payload)
        async for payload in self._list(NFT_MSG_GETCHAIN, nfgen()):
            decoder.chain(payload)
        async for payload in self._list(NFT_MSG_GETRULE, IN_TABLE):
            decoder.rule(payload)
        async for _ in self._list(NFT_MSG_GETFLOWTABLE, IN_TABLE):
            decoder.flowtable()

    async def _list(self, kind: int, payload: bytes) -> AsyncIterator[bytes]:
        """Objects of our table; older kernels ignore the table named in the request, and chains never heed it.

        Others get their turn while a long list is decoded.
        """
        for answer in await self._queries.dump(nftables(kind), payload):
            if _in_our_table(answer.payload):
                yield answer.payload
            await self._queries.slices.rest()

    async def counters(self) -> Mapping[str, tuple[int, int]]:
        """See `Dataplane`. The counters are read one after the other, not at one moment."""
        async with self._querying:
            for _ in range(_DUMP_ATTEMPTS):
                try:
                    values = [counter_values(payload) async for payload in self._list(NFT_MSG_GETOBJ, IN_TABLE)]
                except InterruptedDumpError:
                    continue
                except OSError as error:
                    raise _failure(error.errno or 0, "can not read counters") from error
                return dict(found for found in values if found is not None)
        raise UncertainError(f"the counters changed during each of {_DUMP_ATTEMPTS} attempts to read them")

    async def changes(self) -> AsyncGenerator[ForeignChange, None]:
        """See `Dataplane`. For one reader at a time."""
        if self._watch is not None:
            raise RuntimeError("changes() has a reader already")
        self._watch = watch = _Watch(self._notifications, self._commits.port)
        try:
            watch.start()
            while True:
                yield await watch.queue.get()
        finally:
            watch.stop()
            self._watch = None

    async def _send_unobserved(self, batch: Batch, transaction: Transaction) -> None:
        """Spare the kernel the notifications of a large commit of ours, and still miss nothing of others.

        For each element it makes a packet of its own before anyone's filter sees it: a second and half a gigabyte
        for 65,534. Without listeners it makes none, and the generation tells whether anyone else came between.
        """
        watch = self._watch  # its reader may go meanwhile
        if watch is None or len(batch.data) <= LARGE:
            await self._send(batch, transaction)
            return
        before = await self._generation(self._commits)
        await self._let_others_finish()
        watch.pause()
        try:
            await self._send(batch, transaction)
        finally:
            watch.resume()
            own = 1 if isinstance(batch.outcome(), Committed) else 0
            if await self._generation_or_none() != before + own:
                watch.missed()

    async def _generation_or_none(self) -> int | None:
        """None where it can not be read, which says nothing about the commit before."""
        with suppress(DataplaneError):
            return await self._generation(self._commits)
        return None

    async def _let_others_finish(self) -> None:
        """An empty batch changes nothing and has no answer, but waits until a commit under way has notified us.

        The generation counts a commit before the kernel tells of it: with many elements, a second before.
        """
        await self._commits.send(Batch((), self._commits.next_sequence(2)).data, slow=True)

    async def _generation(self, opened: NetlinkSocket) -> int:
        try:
            answers = await opened.request(nftables(NFT_MSG_GETGEN), nfgen(family=0))
        except OSError as error:
            # The kernel answers EINVAL to messages of a subsystem that it does not have.
            number = errno.EOPNOTSUPP if error.errno == errno.EINVAL else error.errno or 0
            raise _failure(number, "can not read the ruleset's generation") from error
        return int(decode(nft_gen_msg, answers[0].payload)["NFTA_GEN_ID"])


class _Watch:
    """Reads notifications while there is someone to tell."""

    def __init__(self, notifications: NetlinkSocket, own_port: int) -> None:
        self.queue: asyncio.Queue[ForeignChange] = asyncio.Queue()
        self._socket = notifications
        self._monitor = Monitor(own_port)
        self._started = False
        self._socket.attach_filter(PortFilter(own_port))

    def start(self) -> None:
        self._socket.on_readable(self._read)
        self._started = True
        self.resume()

    def stop(self) -> None:
        if self._started:
            self._started = False
            self.pause()
            self._socket.on_readable(None)

    def resume(self) -> None:
        if self._started:
            self._socket.join(NFTABLES_GROUP)

    def pause(self) -> None:
        self._socket.leave(NFTABLES_GROUP)

    def missed(self) -> None:
        self.queue.put_nowait(self._monitor.lost())

    def _read(self) -> None:
        """Some at a time, for others may commit faster than we read; the loop calls again while there is more."""
        for datagram in islice(self._socket.drain(), _NOTIFICATIONS_AT_ONCE):
            if datagram is None:
                self._discard()
                self.missed()
            else:
                for change in self._monitor.receive(datagram):
                    self.queue.put_nowait(change)

    def _discard(self) -> None:
        """The comparison that follows sees whatever the waiting notifications tell of."""
        for _ in islice(self._socket.drain(), _NOTIFICATIONS_DISCARDED):
            pass


def _in_our_table(payload: bytes) -> bool:
    kind, name = next(attributes(payload[4:]), (0, b""))
    return payload[0] == FAMILY and kind == _TABLE_ATTRIBUTE and name.rstrip(b"\0") == TABLE.encode()


def _waits(transaction: Transaction) -> bool:
    """Whether the kernel waits inside the commit until no packet can be in what is deleted."""
    return not _WAITING.isdisjoint(map(type, transaction.operations))


def _not_sent(error: OSError, size: int) -> DataplaneError:
    if error.errno == errno.EMSGSIZE:
        remedy = "raise net.core.wmem_max, or give the process CAP_NET_ADMIN"
        return UnsupportedError(
            f"a transaction of {size} bytes exceeds the socket's buffer: {remedy}", errno=error.errno
        )
    return CommitError(f"a transaction could not be sent: {error.strerror}", errno=error.errno)


def _failure(number: int, what: str) -> DataplaneError:
    return _unsupported(number) or DataplaneError(f"{what}: {errno_name(number)}", errno=number)


def _unsupported(number: int) -> UnsupportedError | None:
    """The error for what this kernel can not do, or does not let this process do; None when that is not it."""
    if number in _NO_PRIVILEGE:
        lack = (
            f"the kernel refuses nftables to this process: it needs the capability CAP_NET_ADMIN; {remedy_for_lack()}"
        )
        return UnsupportedError(lack, errno=number)
    return UnsupportedError(_UNSUPPORTED[number], errno=number) if number in _UNSUPPORTED else None


def _refused(refused: Refused, messages: list[Message], transaction: Transaction) -> DataplaneError:
    message = None if refused.message is None else messages[refused.message]
    operation = None if message is None else transaction.operations[message.operation]
    # EOPNOTSUPP and the like against another operation are about its values, not about the kernel.
    if isinstance(operation, AddTable | None) and (unsupported := _unsupported(refused.errno)):
        return unsupported
    explanation = refused.text
    if message is not None and isinstance(operation, AddElements | DeleteElements | AddVerdicts | DeleteVerdicts):
        explanation = " ".join(filter(None, [_refused_element(refused, message), explanation]))
    return refusal(operation, refused.errno, explanation)


def _refused_element(refused: Refused, message: Message) -> str:
    """The one among thousands that the kernel objects to; kernels before 5.18 do not say."""
    if refused.offset is None:
        return ""
    element = next(unpack(message.payload[refused.offset - HEADER.size :]), None)
    return "" if element is None or element.other else f"element {Address(element.key)}"
