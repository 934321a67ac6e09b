"""A dataplane in memory, as strict as the kernel and with faults on demand."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from itertools import pairwise

from corral.dataplane.base import Dump, ForeignChange, refusal
from corral.dataplane.codec import encode
from corral.dataplane.flows.conntrack import TrackedFlow
from corral.dataplane.flows.flowlog import LoggedPacket
from corral.errors import DataplaneError, UncertainError
from corral.nft.contents import Contents, References
from corral.nft.transaction import (
    AddChain,
    AddCounter,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    AddVerdicts,
    DeleteChain,
    DeleteCounter,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    DeleteVerdicts,
    FlushChain,
    Operation,
    Transaction,
)
from corral.nft.values import Chain, Count, Dispatch, Element, Expression, InSet, LimitEach, NftRule, SetType, Verdict
from corral.types import Subnet

_ElementOperation = AddElements | DeleteElements | AddVerdicts | DeleteVerdicts


class _RefusedError(Exception):
    """An operation that the kernel would refuse, with its errno."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.errno = number


class FakeDataplane:
    """Copies the table, applies all operations to the copy, and publishes it only when all went well.

    The conformance tests run against this and the kernel alike.
    """

    def __init__(self) -> None:
        self._table: Contents | None = None
        self._generation = 1
        self._values: dict[str, tuple[int, int]] = {}
        self._watchers: list[asyncio.Queue[ForeignChange]] = []
        self._failures: list[tuple[int, int | None]] = []
        self._losses: list[bool] = []
        self._unreadable: list[Exception] = []
        self._open = asyncio.Event()
        self._open.set()
        self.attempted: list[Transaction] = []
        self.committed: list[Transaction] = []
        self.dumps = 0
        self.alien: tuple[str, ...] = ()

    # The dataplane

    async def dump(self) -> Dump | None:
        """See `Dataplane`."""
        self.dumps += 1
        if self._unreadable:
            raise self._unreadable.pop(0)
        return None if self._table is None else Dump(self._table.ruleset(), self.alien, self._generation)

    async def commit(self, transaction: Transaction) -> None:
        """See `Dataplane`."""
        if not encode(transaction):  # for the same ValueErrors
            return
        self.attempted.append(transaction)
        await self._open.wait()
        if self._losses:
            if self._losses.pop(0):
                self._apply(transaction)
            raise UncertainError("the acknowledgement was lost, as asked")
        self._apply(transaction)
        self.committed.append(transaction)

    async def counters(self) -> Mapping[str, tuple[int, int]]:
        """See `Dataplane`."""
        return {name: self._values.get(name, (0, 0)) for name in (self._table.counters if self._table else ())}

    async def delete_table(self) -> None:
        """See `Dataplane`."""
        await self.commit(Transaction((AddTable(), DeleteTable())))

    async def changes(self) -> AsyncGenerator[ForeignChange, None]:
        """See `Dataplane`."""
        queue: asyncio.Queue[ForeignChange] = asyncio.Queue()
        self._watchers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(queue)

    # Faults, and what others do

    def fail_next(self, number: int, operation: int | None = 0) -> None:
        """Refuse the next commit with this errno at this operation, or (None) as a whole."""
        self._failures.append((number, operation))

    def lose_next_acknowledgement(self, *, applied: bool) -> None:
        """Let nobody know whether the next commit, `applied` or not, came into force."""
        self._losses.append(applied)

    def fail_next_dump(self, error: Exception) -> None:
        """Let the table not be read the next time."""
        self._unreadable.append(error)

    def hold(self) -> None:
        """Let commits take until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Let held commits, and later ones, go on."""
        self._open.set()

    def interfere(self, transaction: Transaction, *, pid: int = 1, process: str = "nft") -> None:
        """Change the table as another process would."""
        self._apply(transaction)
        self._notify(ForeignChange(self._generation, pid, process))

    def lose_notifications(self) -> None:
        """Tell the watchers that they missed something."""
        self._notify(ForeignChange(lost=True))

    def count(self, counter: str, packets: int, octets: int) -> None:
        """Let packets pass a counter."""
        before = self._values.get(counter, (0, 0))
        self._values[counter] = (before[0] + packets, before[1] + octets)

    def _notify(self, change: ForeignChange) -> None:
        for queue in self._watchers:
            queue.put_nowait(change)

    # The kernel

    def _apply(self, transaction: Transaction) -> None:
        number, failing = self._failures.pop(0) if self._failures else (0, -1)
        table = None if self._table is None else Contents.of(self._table.ruleset())
        for place, operation in enumerate(transaction.operations):
            try:
                _refuse_if(place == failing, number)
                table = _take(table, operation)
            except _RefusedError as refused:
                raise refusal(operation, refused.errno) from refused
        if failing is None:
            raise refusal(None, number)
        self._table = table
        self._generation += 1
        existing = table.counters if table else set()
        self._values = {name: value for name, value in self._values.items() if name in existing}


def _take(table: Contents | None, operation: Operation) -> Contents | None:
    if isinstance(operation, AddTable):
        return Contents() if table is None else table
    if table is None:
        raise _RefusedError(errno.ENOENT)
    if isinstance(operation, DeleteTable):
        return None
    _check(table, operation)
    table.apply(operation)
    return table


def _check(table: Contents, operation: Operation) -> None:
    match operation:
        case AddCounter(name):
            _refuse_if(name in table.counters, errno.EEXIST)
        case AddSet(declared):
            _refuse_if(declared.name in table.sets or declared.name in table.maps, errno.EEXIST)
        case AddChain(chain):
            _refuse_if(chain.name in table.chains, errno.EEXIST)
        case DeleteCounter() | DeleteSet() | DeleteChain():
            _check_removal(table, operation)
        case FlushChain(name):
            _refuse_if(name not in table.chains, errno.ENOENT)
        case AddRule(name, rule):
            _refuse_if(name not in table.chains, errno.ENOENT)
            _check_rule(table, rule)
        case AddElements() | DeleteElements() | AddVerdicts() | DeleteVerdicts():
            _check_elements(table, operation)
        case AddTable() | DeleteTable():
            pass


def _refuse_if(condition: bool, number: int) -> None:
    if condition:
        raise _RefusedError(number)


def _check_removal(table: Contents, operation: DeleteCounter | DeleteSet | DeleteChain) -> None:
    used = References.of(table)
    match operation:
        case DeleteCounter(name):
            _refuse_if(name not in table.counters, errno.ENOENT)
            _refuse_if(name in used.counters, errno.EBUSY)
        case DeleteSet(name):
            _refuse_if(name not in table.sets and name not in table.maps, errno.ENOENT)
            _refuse_if(name in used.sets, errno.EBUSY)
        case DeleteChain(name):
            _refuse_if(name not in table.chains, errno.ENOENT)
            _refuse_if(name in used.chains, errno.EBUSY)


def _check_rule(table: Contents, rule: NftRule) -> None:
    for part in rule.expressions:
        _check_expression(table, part)


def _check_expression(table: Contents, part: Expression) -> None:
    match part:
        case InSet(_, name):
            _refuse_if(name in table.maps, errno.EINVAL)  # newer kernels take it, 5.10 does not
            _refuse_if(name not in table.sets, errno.ENOENT)
        case LimitEach(_, name):
            _refuse_if(name not in table.sets and name not in table.maps, errno.ENOENT)
            _refuse_if(name not in table.sets or table.sets[name].type is not SetType.DYNAMIC, errno.EOPNOTSUPP)
        case Dispatch(_, name):
            _refuse_if(name in table.sets, errno.EINVAL)
            _refuse_if(name not in table.maps, errno.ENOENT)
        case Count(name):
            _refuse_if(name not in table.counters, errno.ENOENT)
        case Verdict():
            _check_verdict(table, part)
        case _:
            pass


def _check_verdict(table: Contents, verdict: Verdict) -> None:
    if verdict.chain:
        target: Chain | None = table.chains.get(verdict.chain)
        _refuse_if(target is None, errno.ENOENT)
        _refuse_if(target is not None and target.hook is not None, errno.EOPNOTSUPP)


class FakeFlowLog:
    """A log of packets that reports what it is given; see `FlowLog`."""

    def __init__(self) -> None:
        self.lost = 0
        self.opened = 0
        self.failures: list[DataplaneError] = []  # of the next attempts to open it
        self.flows: dict[LoggedPacket, TrackedFlow] = {}  # what connection tracking knows
        self._packets: asyncio.Queue[LoggedPacket] = asyncio.Queue()

    async def open(self) -> None:
        """See `FlowLog`."""
        if self.failures:
            raise self.failures.pop(0)
        self.opened += 1

    def close(self) -> None:
        """See `FlowLog`."""

    def report(self, packet: LoggedPacket) -> None:
        """Let the kernel report a packet."""
        self._packets.put_nowait(packet)

    async def packets(self) -> AsyncGenerator[LoggedPacket]:
        """See `FlowLog`."""
        while True:
            yield await self._packets.get()

    async def flow_of(self, packet: LoggedPacket) -> TrackedFlow | None:
        """See `FlowLog`."""
        return packet.flow or self.flows.get(packet)


def _check_elements(table: Contents, operation: _ElementOperation) -> None:
    match operation:
        case AddElements(name, _, elements):
            _refuse_if(name not in table.sets, errno.ENOENT)
            _check_free(table.elements[name], elements)
        case DeleteElements(name, _, elements):
            _refuse_if(name not in table.sets, errno.ENOENT)
            _refuse_if(not table.elements[name].issuperset(elements), errno.ENOENT)
        case AddVerdicts(name, verdicts):
            _refuse_if(name not in table.maps, errno.ENOENT)
            for address, verdict in verdicts.items():
                _check_verdict(table, verdict)
                _refuse_if(address in table.verdicts[name], errno.EEXIST)
        case DeleteVerdicts(name, verdicts):
            _refuse_if(name not in table.maps, errno.ENOENT)
            _refuse_if(not table.verdicts[name].keys() >= verdicts.keys(), errno.ENOENT)


def _check_free(present: Iterable[Element], added: Iterable[Element]) -> None:
    spans = sorted(_span(element) for element in (*present, *added))
    _refuse_if(any(later[0] <= earlier[1] for earlier, later in pairwise(spans)), errno.EEXIST)


def _span(element: Element) -> tuple[int, int]:
    return (element.first, element.last) if isinstance(element, Subnet) else (element, element)
