"""One suite for two dataplanes: the kernel and the fake must agree on everything here."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from corral.dataplane.base import Dataplane
from corral.dataplane.fake import FakeDataplane
from corral.dataplane.kernel import KernelDataplane
from corral.errors import CommitError
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
from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Equals,
    Field,
    InSet,
    Limit,
    LimitEach,
    NftMap,
    NftRule,
    NftSet,
    Ruleset,
    SetType,
    Verb,
    Verdict,
)
from corral.types import Address
from tests.dataplane.rulesets import ACCEPT, DROP, WORKED_EXAMPLE, address, creation, subnet
from tests.kernel.namespaces import Namespace

ONE = WORKED_EXAMPLE.sets["stack/one"]
SUBNETS = WORKED_EXAMPLE.sets["subnets"]
SERVER = "to-ab12cd34"
NEW_CHAIN = Chain("new", ())


@pytest.fixture(params=["fake", "kernel"])
async def dataplane(request: pytest.FixtureRequest) -> AsyncIterator[Dataplane]:
    async with AsyncExitStack() as opened:
        if request.param == "fake":
            yield FakeDataplane()
        else:
            namespace = opened.enter_context(Namespace())
            opened.enter_context(namespace.entered())
            yield await opened.enter_async_context(KernelDataplane())


async def commit(dataplane: Dataplane, *operations: Operation) -> None:
    await dataplane.commit(Transaction(operations))


async def content(dataplane: Dataplane) -> Ruleset:
    dump = await dataplane.dump()
    assert dump is not None
    assert dump.alien == ()
    return dump.ruleset


@pytest.fixture
async def filled(dataplane: Dataplane) -> Dataplane:
    await dataplane.commit(creation(WORKED_EXAMPLE))
    return dataplane


async def test_there_is_no_table_at_first(dataplane: Dataplane) -> None:
    assert await dataplane.dump() is None
    assert await dataplane.counters() == {}


async def test_an_empty_transaction_changes_nothing(dataplane: Dataplane) -> None:
    await dataplane.commit(Transaction())
    assert await dataplane.dump() is None


async def test_what_was_committed_is_dumped(filled: Dataplane) -> None:
    assert await content(filled) == WORKED_EXAMPLE
    assert await filled.counters() == dict.fromkeys(WORKED_EXAMPLE.counters, (0, 0))


async def test_each_commit_is_a_generation(filled: Dataplane) -> None:
    before = await filled.dump()
    await commit(filled, AddCounter("more"))
    after = await filled.dump()
    assert before is not None
    assert after is not None
    assert after.generation == before.generation + 1


async def test_delete_table_is_idempotent(filled: Dataplane) -> None:
    await filled.delete_table()
    assert await filled.dump() is None
    await filled.delete_table()
    assert await filled.dump() is None


async def test_the_table_can_be_replaced_in_one_commit(filled: Dataplane) -> None:
    small = Ruleset(counters=frozenset({"only"}), chains={"forward": WORKED_EXAMPLE.chains["empty"]})
    small = replace(small, chains={"forward": Chain("forward", (), WORKED_EXAMPLE.chains["forward"].hook)})
    await commit(filled, AddTable(), DeleteTable(), *creation(small).operations)
    assert await content(filled) == small


async def test_elements_come_and_go(filled: Dataplane) -> None:
    await commit(filled, AddElements("stack/one", ONE, (address("10.42.9.9"),)))
    await commit(filled, DeleteElements("stack/one", ONE, (address("10.42.0.2"), address("10.42.0.3"))))
    assert (await content(filled)).elements["stack/one"] == {address("10.42.9.9")}


async def test_subnets_come_and_go(filled: Dataplane) -> None:
    gone = (subnet("10.42.0.0/17"), subnet("255.255.255.254/31"))
    come = (subnet("10.42.0.0/18"), subnet("255.255.255.255/32"), subnet("0.0.0.0/32"))
    await commit(filled, DeleteElements("subnets", SUBNETS, gone), AddElements("subnets", SUBNETS, come))
    expected = (WORKED_EXAMPLE.elements["subnets"] - set(gone)) | set(come)
    assert (await content(filled)).elements["subnets"] == expected


async def test_a_verdict_changes_by_delete_and_add_in_one_commit(filled: Dataplane) -> None:
    key = address("10.42.0.3")
    old, new = WORKED_EXAMPLE.verdicts["dispatch"][key], Verdict(Verb.GOTO, "new")
    await commit(
        filled, AddChain(NEW_CHAIN), DeleteVerdicts("dispatch", {key: old}), AddVerdicts("dispatch", {key: new})
    )
    assert (await content(filled)).verdicts["dispatch"][key] == new


async def test_a_chain_can_go_with_the_last_reference_to_it(filled: Dataplane) -> None:
    references = {key: value for key, value in WORKED_EXAMPLE.verdicts["dispatch"].items() if value.chain}
    await commit(filled, DeleteVerdicts("dispatch", references), DeleteChain(SERVER))
    assert SERVER not in (await content(filled)).chains


async def test_flushing_replaces_rules(filled: Dataplane) -> None:
    rule = NftRule((Count("lost"), ACCEPT), "new")
    await commit(filled, FlushChain("check"), AddRule("check", rule))
    assert (await content(filled)).chains["check"].rules == (rule,)


async def test_a_map_is_not_looked_up_like_a_set() -> None:
    """Newer kernels take that, and 5.10 does not: so the fake does not either, for whoever would rely on it."""
    fake = FakeDataplane()
    await fake.commit(creation(WORKED_EXAMPLE))
    with pytest.raises(CommitError, match="EINVAL"):
        await commit(fake, AddRule("empty", NftRule((InSet(Field.CLIENT, "idle"), ACCEPT))))


async def test_objects_come_and_go(filled: Dataplane) -> None:
    await commit(filled, AddCounter("new"), AddSet(NftSet("set")), AddSet(NftMap("map")), AddChain(NEW_CHAIN))
    await commit(filled, DeleteCounter("new"), DeleteSet("set"), DeleteSet("map"), DeleteChain("new"))
    assert await content(filled) == WORKED_EXAMPLE


async def test_a_used_set_goes_with_its_elements_once_unused(filled: Dataplane) -> None:
    await commit(filled, FlushChain("check"), DeleteSet("dispatch"), DeleteChain(SERVER), DeleteSet("stack/one"))
    after = await content(filled)
    assert "stack/one" not in after.elements
    assert "dispatch" not in after.verdicts


def limit_each(name: str) -> LimitEach:
    return LimitEach(Field.CLIENT, name, 60, Limit(1, 1))


REFUSED: dict[str, tuple[Operation, int]] = {
    "a counter twice": (AddCounter("lost"), errno.EEXIST),
    "a set twice": (AddSet(ONE), errno.EEXIST),
    "a set named like a map": (AddSet(NftSet("dispatch")), errno.EEXIST),
    "a chain twice": (AddChain(Chain("check", ())), errno.EEXIST),
    "an element twice": (AddElements("stack/one", ONE, (address("10.42.0.2"),)), errno.EEXIST),
    "an overlapping subnet": (AddElements("subnets", SUBNETS, (subnet("10.42.1.0/24"),)), errno.EEXIST),
    "an enclosing subnet": (AddElements("subnets", SUBNETS, (subnet("10.0.0.0/8"),)), errno.EEXIST),
    "the same verdict twice": (AddVerdicts("dispatch", {address("10.42.0.2"): DROP}), errno.EEXIST),
    "another verdict": (AddVerdicts("dispatch", {address("10.42.0.2"): ACCEPT}), errno.EEXIST),
    "a verdict for a chain": (AddVerdicts("dispatch", {address("10.42.0.3"): ACCEPT}), errno.EEXIST),
    "a verdict to no chain": (AddVerdicts("dispatch", {Address(1): Verdict(Verb.GOTO, "nowhere")}), errno.ENOENT),
    "a verdict to a hook": (AddVerdicts("dispatch", {Address(1): Verdict(Verb.GOTO, "forward")}), errno.EOPNOTSUPP),
    "elements of no set": (AddElements("nothing", ONE, (Address(1),)), errno.ENOENT),
    "verdicts of no map": (AddVerdicts("nothing", {Address(1): DROP}), errno.ENOENT),
    "an absent element": (DeleteElements("stack/one", ONE, (Address(1),)), errno.ENOENT),
    "an absent subnet": (DeleteElements("subnets", SUBNETS, (subnet("99.0.0.0/8"),)), errno.ENOENT),
    "an absent verdict": (DeleteVerdicts("dispatch", {Address(1): DROP}), errno.ENOENT),
    "absent from no set": (DeleteElements("nothing", ONE, (Address(1),)), errno.ENOENT),
    "absent from no map": (DeleteVerdicts("nothing", {Address(1): DROP}), errno.ENOENT),
    "an absent counter": (DeleteCounter("nothing"), errno.ENOENT),
    "an absent set": (DeleteSet("nothing"), errno.ENOENT),
    "an absent chain": (DeleteChain("nothing"), errno.ENOENT),
    "rules of an absent chain": (FlushChain("nothing"), errno.ENOENT),
    "a used counter": (DeleteCounter("lost"), errno.EBUSY),
    "a used set": (DeleteSet("stack/one"), errno.EBUSY),
    "a used map": (DeleteSet("dispatch"), errno.EBUSY),
    "a chain in a verdict": (DeleteChain(SERVER), errno.EBUSY),
    "a chain in a rule": (DeleteChain("check"), errno.EBUSY),
    "a rule in no chain": (AddRule("nothing", NftRule((ACCEPT,))), errno.ENOENT),
    "a rule with no set": (AddRule("empty", NftRule((InSet(Field.CLIENT, "nothing"), ACCEPT))), errno.ENOENT),
    "a rule with no map": (AddRule("empty", NftRule((Dispatch(Field.CLIENT, "nothing"),))), errno.ENOENT),
    "a rule with no counter": (AddRule("empty", NftRule((Count("nothing"),))), errno.ENOENT),
    "a rule to no chain": (AddRule("empty", NftRule((Verdict(Verb.JUMP, "nothing"),))), errno.ENOENT),
    "a rule to a hook": (AddRule("empty", NftRule((Verdict(Verb.JUMP, "forward"),))), errno.EOPNOTSUPP),
    "a limit for each in no set": (AddRule("empty", NftRule((limit_each("nothing"),))), errno.ENOENT),
    "a limit for each in a map": (AddRule("empty", NftRule((limit_each("dispatch"),))), errno.EOPNOTSUPP),
    "a limit for each in a plain set": (AddRule("empty", NftRule((limit_each("system"),))), errno.EOPNOTSUPP),
    "a limit for each in a set of subnets": (AddRule("empty", NftRule((limit_each("subnets"),))), errno.EOPNOTSUPP),
    "a used dynamic set": (DeleteSet("denied-clients"), errno.EBUSY),
    "a set as a map": (AddRule("empty", NftRule((Dispatch(Field.CLIENT, "system"),))), errno.EINVAL),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refusals_name_the_operation_and_leave_the_table_as_it_was(filled: Dataplane, case: str) -> None:
    operation, number = REFUSED[case]
    with pytest.raises(CommitError) as caught:
        await commit(filled, AddCounter("before"), operation, AddCounter("after"))
    assert caught.value.errno == number
    named = getattr(operation, "name", "") or getattr(operation, "set", "") or getattr(operation, "chain", "")
    assert str(getattr(named, "name", named)) in str(caught.value)
    assert errno.errorcode[number] in str(caught.value)
    assert await content(filled) == WORKED_EXAMPLE


@pytest.mark.parametrize(
    "operation",
    [AddCounter("new"), AddSet(ONE), AddChain(NEW_CHAIN), DeleteTable(), DeleteCounter("new"), FlushChain("new")],
)
async def test_without_a_table_everything_else_is_refused(dataplane: Dataplane, operation: Operation) -> None:
    with pytest.raises(CommitError) as caught:
        await commit(dataplane, operation)
    assert caught.value.errno == errno.ENOENT
    assert await dataplane.dump() is None


async def test_an_operation_is_seen_by_the_ones_after_it(filled: Dataplane) -> None:
    gone = DeleteElements("stack/one", ONE, (address("10.42.0.2"),))
    with pytest.raises(CommitError, match="delete element inet corral stack/one"):
        await commit(filled, gone, gone)
    with pytest.raises(CommitError, match="add counter inet corral new"):
        await commit(filled, AddCounter("new"), AddCounter("new"))
    assert await content(filled) == WORKED_EXAMPLE


@pytest.mark.parametrize(
    "operation",
    [
        AddElements("stack/one", ONE, (subnet("10.0.0.0/8"),)),
        AddElements("subnets", SUBNETS, (address("10.0.0.1"),)),
        AddElements("denied-clients", WORKED_EXAMPLE.sets["denied-clients"], (address("10.0.0.1"),)),
        AddRule("empty", NftRule((Equals(Field.PROTOCOL, "6"),))),
        AddRule("empty", NftRule((ACCEPT,), 'say "no"')),
        AddRule("empty", NftRule((ACCEPT,), "é" * 64)),
        AddSet(NftSet("new", SetType.ADDRESSES, "two\nlines")),
    ],
)
async def test_what_nft_could_not_print_is_a_value_error(filled: Dataplane, operation: Operation) -> None:
    with pytest.raises(ValueError, match=r"."):
        await commit(filled, AddCounter("before"), operation)
    assert await content(filled) == WORKED_EXAMPLE
