from __future__ import annotations

from hypothesis import given

from corral.nft.contents import Contents, References
from corral.nft.difference import Dirty
from corral.nft.tracker import difference
from corral.nft.transaction import AddChain, AddElements, AddRule, AddSet, DeleteSet, DeleteTable, FlushChain
from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Field,
    InSet,
    NftMap,
    NftRule,
    NftSet,
    Ruleset,
    Verb,
    Verdict,
)
from corral.types import Address

from .rulesets import rulesets

ONE = Address.parse("10.42.0.1")
RULE = NftRule((InSet(Field.CLIENT, "a"), Count("hits"), Verdict(Verb.JUMP, "next")))


@given(rulesets())
def test_a_copy_is_equal_and_independent(ruleset: Ruleset) -> None:
    contents = Contents.of(ruleset)
    assert contents.ruleset() == ruleset
    contents.apply(DeleteTable())
    assert not contents
    assert contents.ruleset() == Ruleset()


def test_adding_what_is_there_keeps_it() -> None:
    contents, group, chain = Contents(), NftSet("a"), Chain("c", ())
    for _ in range(2):
        contents.apply(AddSet(group))
        contents.apply(AddElements("a", group, (ONE,)))
        contents.apply(AddChain(chain))
        contents.apply(AddRule("c", RULE))
        contents.apply(AddSet(NftMap("m")))
    assert contents.elements == {"a": {ONE}}
    assert contents.chains == {"c": Chain("c", (RULE, RULE))}
    assert contents.maps == {"m": NftMap("m")}


def test_an_added_chain_is_empty_until_rules_are_added() -> None:
    contents = Contents()
    contents.apply(AddChain(Chain("c", (RULE,))))
    assert contents.chains == {"c": Chain("c", ())}


def test_a_flushed_chain_stays_and_a_deleted_set_takes_its_elements_along() -> None:
    contents = Contents.of(
        Ruleset(sets={"a": NftSet("a")}, elements={"a": frozenset([ONE])}, chains={"c": Chain("c", (RULE,))})
    )
    contents.apply(FlushChain("c"))
    contents.apply(DeleteSet("a"))
    assert contents.ruleset() == Ruleset(chains={"c": Chain("c", ())})


def test_references_are_those_of_rules_and_of_verdicts() -> None:
    contents = Contents.of(
        Ruleset(
            maps={"m": NftMap("m")},
            verdicts={"m": {ONE: Verdict(Verb.GOTO, "server")}},
            chains={"c": Chain("c", (RULE, NftRule((Dispatch(Field.SERVER, "m"),))))},
        )
    )
    assert References.of(contents) == References(
        chains=frozenset({"next", "server"}), sets=frozenset({"a", "m"}), counters=frozenset({"hits"})
    )


def test_rules_of_two_chains_in_turn_are_appended_to_each() -> None:
    contents = Contents.of(Ruleset(chains={name: Chain(name, (RULE,)) for name in "ab"}))
    contents.apply_all([AddRule("a", RULE), AddRule("a", RULE), AddRule("b", RULE), AddRule("a", RULE)])
    assert contents.chains == {"a": Chain("a", (RULE,) * 4), "b": Chain("b", (RULE,) * 2)}


@given(rulesets(), rulesets())
def test_all_at_once_is_one_after_the_other(before: Ruleset, after: Ruleset) -> None:
    operations = difference(after, before).operations
    at_once, one_by_one = Contents.of(before), Contents.of(before)
    at_once.apply_all(operations)
    for operation in operations:
        one_by_one.apply(operation)
    assert at_once == one_by_one
    assert Dirty.between(at_once, Contents.of(after)) == Dirty()
