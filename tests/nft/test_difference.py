from __future__ import annotations

from hypothesis import given

from corral.nft.contents import Contents
from corral.nft.difference import Dirty, additions, contradicts, removals
from corral.nft.transaction import DeleteChain, DeleteCounter, DeleteSet, Operation
from corral.nft.values import Chain, Count, Hook, NftMap, NftRule, NftSet, Ruleset, SetType, Verb, Verdict
from corral.types import Address

from .rulesets import rulesets

ONE, TWO = Address.parse("10.42.0.1"), Address.parse("10.42.0.2")


def differ(desired: Ruleset, programmed: Ruleset) -> tuple[Contents, Contents, Dirty]:
    ours, theirs = Contents.of(desired), Contents.of(programmed)
    return ours, theirs, Dirty.between(ours, theirs)


@given(rulesets())
def test_equal_contents_do_not_differ(ruleset: Ruleset) -> None:
    ours, theirs, dirty = differ(ruleset, ruleset)
    assert dirty == Dirty()
    assert additions(ours, theirs, dirty) == removals(ours, theirs, dirty) == []


@given(rulesets(), rulesets())
def test_additions_delete_no_object_and_removals_nothing_that_is_wanted(desired: Ruleset, programmed: Ruleset) -> None:
    ours, theirs, dirty = differ(desired, programmed)
    objects = (DeleteChain, DeleteSet, DeleteCounter)
    assert not any(isinstance(operation, objects) for operation in additions(ours, theirs, dirty))
    wanted = {*desired.chains, *desired.sets, *desired.maps, *desired.counters}
    assert not any(_name(operation) in wanted for operation in removals(ours, theirs, dirty))


def _name(operation: Operation) -> str:
    assert isinstance(operation, DeleteChain | DeleteSet | DeleteCounter)
    return operation.name


def test_dirt_that_has_settled_is_forgotten() -> None:
    desired = Ruleset(sets={"a": NftSet("a")}, elements={"a": frozenset([ONE, TWO])})
    ours, theirs, dirty = differ(desired, Ruleset())
    for operation in additions(ours, theirs, dirty):
        theirs.apply(operation)
    dirty.forget_equal(ours, theirs)
    assert dirty == Dirty()


def test_a_set_can_not_become_a_map_or_change_its_type() -> None:
    as_set, as_map = Ruleset(sets={"a": NftSet("a")}), Ruleset(maps={"a": NftMap("a")})
    as_subnets = Ruleset(sets={"a": NftSet("a", SetType.SUBNETS)})
    assert contradicts(*differ(as_set, as_map))
    assert contradicts(*differ(as_map, as_set))
    assert contradicts(*differ(as_set, as_subnets))
    assert not contradicts(*differ(as_set, Ruleset()))
    assert not contradicts(*differ(Ruleset(), as_set))


def test_a_chain_can_not_change_its_hook_but_its_rules() -> None:
    plain = Ruleset(chains={"c": Chain("c", ())})
    hooked = Ruleset(chains={"c": Chain("c", (), Hook("forward", 0))})
    filled = Ruleset(chains={"c": Chain("c", (NftRule((Verdict(Verb.DROP),)),))})
    assert contradicts(*differ(plain, hooked))
    assert not contradicts(*differ(plain, filled))


def test_a_counter_that_an_unwanted_chain_still_uses_waits_for_it() -> None:
    chain = Chain("c", (NftRule((Count("hits"),)),))
    programmed = Ruleset(counters=frozenset({"hits", "idle"}), chains={"c": chain})
    assert removals(*differ(Ruleset(), programmed)) == [DeleteChain("c"), DeleteCounter("idle")]
