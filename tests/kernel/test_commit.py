"""Commits to the kernel: whole or not at all, of any size, on both event loops."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from corral.dataplane.kernel import KernelDataplane
from corral.errors import CommitError, UncertainError
from corral.nft.text import render
from corral.nft.transaction import (
    AddChain,
    AddCounter,
    AddElements,
    AddSet,
    AddTable,
    AddVerdicts,
    DeleteChain,
    DeleteElements,
    DeleteTable,
    DeleteVerdicts,
    Transaction,
)
from corral.nft.values import Chain, NftMap, NftSet, Verb, Verdict
from corral.types import Address
from tests.dataplane.rulesets import DROP, WORKED_EXAMPLE, creation
from tests.kernel.namespaces import Namespace

WHOLE_NETWORK = tuple(Address(0x0A2A0000 + host) for host in range(1, 65_535))
SYSTEM = NftSet("system")
Scenario = Callable[[KernelDataplane], Awaitable[None]]


async def elements(kernel: KernelDataplane, name: str) -> frozenset[object]:
    dump = await kernel.dump()
    assert dump is not None
    return frozenset(dump.ruleset.elements[name])


async def whole_network_comes_and_goes(kernel: KernelDataplane) -> None:
    await kernel.commit(Transaction((AddTable(), AddSet(SYSTEM), AddElements("system", SYSTEM, WHOLE_NETWORK))))
    assert await elements(kernel, "system") == frozenset(WHOLE_NETWORK)
    await kernel.commit(Transaction((DeleteElements("system", SYSTEM, WHOLE_NETWORK[1:]),)))
    assert await elements(kernel, "system") == {WHOLE_NETWORK[0]}


async def whole_network_is_dispatched(kernel: KernelDataplane) -> None:
    verdicts = dict.fromkeys(WHOLE_NETWORK, Verdict(Verb.GOTO, "target"))
    dispatch = (AddTable(), AddChain(Chain("target", ())), AddSet(NftMap("map")), AddVerdicts("map", verdicts))
    await kernel.commit(Transaction(dispatch))
    dump = await kernel.dump()
    assert dump is not None
    assert dump.ruleset.verdicts["map"] == verdicts
    await kernel.commit(Transaction((DeleteVerdicts("map", verdicts), DeleteChain("target"))))


async def failures_leave_the_table_as_it_was(kernel: KernelDataplane) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    add = AddElements("system", WORKED_EXAMPLE.sets["system"], WHOLE_NETWORK[1:])
    with pytest.raises(CommitError, match="delete chain inet corral check") as caught:
        await kernel.commit(Transaction((add, AddCounter("new"), DeleteChain("check"))))
    assert caught.value.errno == errno.EBUSY
    dump = await kernel.dump()
    assert dump is not None
    assert dump.ruleset == WORKED_EXAMPLE


async def commits_dumps_and_counters_at_once(kernel: KernelDataplane) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    more = [Transaction((AddCounter(f"counter-{number}"),)) for number in range(50)]
    await asyncio.gather(*(kernel.commit(one) for one in more), kernel.dump(), kernel.counters())
    assert len(await kernel.counters()) == len(WORKED_EXAMPLE.counters) + 50


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "scenario",
    [
        whole_network_comes_and_goes,
        whole_network_is_dispatched,
        failures_leave_the_table_as_it_was,
        commits_dumps_and_counters_at_once,
    ],
)
def test_on_both_loops(
    namespace: Namespace, new_loop: Callable[[], asyncio.AbstractEventLoop], scenario: Scenario
) -> None:
    async def run() -> None:
        async with KernelDataplane() as kernel:
            await scenario(kernel)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


async def test_a_full_dump_is_the_table_that_was_committed_in_another_order(kernel: KernelDataplane) -> None:
    first, *rest = creation(WORKED_EXAMPLE).operations
    makers = [operation for operation in rest if isinstance(operation, AddCounter | AddSet | AddChain)]
    fillers = [operation for operation in rest if operation not in makers]
    await kernel.commit(Transaction((first, *reversed(makers))))
    await kernel.commit(Transaction(tuple(fillers)))
    dump = await kernel.dump()
    assert dump is not None
    assert render(dump.ruleset) == render(WORKED_EXAMPLE)


async def test_a_refusal_names_the_one_element_among_many(kernel: KernelDataplane) -> None:
    first = AddElements("system", SYSTEM, WHOLE_NETWORK[4000:4001])
    await kernel.commit(Transaction((AddTable(), AddSet(SYSTEM), first)))
    with pytest.raises(CommitError, match=f"EEXIST.*: element {WHOLE_NETWORK[4000]};"):
        await kernel.commit(Transaction((AddElements("system", SYSTEM, WHOLE_NETWORK),)))
    with pytest.raises(CommitError, match=f"ENOENT.*: element {WHOLE_NETWORK[0]};"):
        await kernel.commit(Transaction((DeleteElements("system", SYSTEM, WHOLE_NETWORK),)))


async def test_every_commit_frees_what_it_replaces(kernel: KernelDataplane) -> None:
    for _ in range(20):
        await kernel.commit(Transaction((AddTable(), DeleteTable(), *creation(WORKED_EXAMPLE).operations)))
    dump = await kernel.dump()
    assert dump is not None
    assert dump.ruleset == WORKED_EXAMPLE


EVERYTHING = Transaction((AddTable(), AddSet(SYSTEM), AddElements("system", SYSTEM, WHOLE_NETWORK)))


async def cancelled(committing: asyncio.Future[None]) -> None:
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing


async def test_a_cancelled_commit_is_finished_and_the_next_one_is_accounted_alone(
    kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, sending = kernel._commits.send, asyncio.Event()

    async def announce_and_send(data: bytes, *, slow: bool = False) -> None:
        sending.set()
        await send(data, slow=slow)

    monkeypatch.setattr(kernel._commits, "send", announce_and_send)
    committing = asyncio.ensure_future(kernel.commit(EVERYTHING))
    await sending.wait()  # and so for its thread
    await cancelled(committing)
    assert await elements(kernel, "system") == frozenset(WHOLE_NETWORK)
    with pytest.raises(CommitError, match="EEXIST"):
        await kernel.commit(Transaction((AddSet(SYSTEM),)))


async def test_a_commit_that_is_cancelled_while_it_is_encoded_is_not_sent(kernel: KernelDataplane) -> None:
    committing = asyncio.ensure_future(kernel.commit(EVERYTHING))
    await asyncio.sleep(0)  # until it waits for its thread
    await cancelled(committing)
    assert await kernel.dump() is None
    await kernel.commit(EVERYTHING)
    assert await elements(kernel, "system") == frozenset(WHOLE_NETWORK)


async def test_without_an_answer_nobody_knows(kernel: KernelDataplane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel._commits, "drain", lambda: iter([None]))
    with pytest.raises(UncertainError):
        await kernel.commit(creation(WORKED_EXAMPLE))
    monkeypatch.undo()
    dump = await kernel.dump()
    assert dump is not None
    assert dump.ruleset == WORKED_EXAMPLE
    await kernel.commit(Transaction((AddChain(Chain("next", ())),)))  # the late answer is not taken for this one's


async def test_the_verdicts_of_a_kernel_are_those_of_its_own_namespace(kernel: KernelDataplane) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    with Namespace() as other, other.entered():
        async with KernelDataplane() as elsewhere:
            assert await elsewhere.dump() is None
        assert await kernel.dump() is not None
        await kernel.commit(Transaction((AddVerdicts("idle", {Address(1): DROP}),)))
    assert await kernel.dump() is not None
