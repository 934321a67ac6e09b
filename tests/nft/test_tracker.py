from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from corral.nft.tracker import Tracker, difference
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
    Field,
    Hook,
    InSet,
    NftMap,
    NftRule,
    NftSet,
    Ruleset,
    SetType,
    Verb,
    Verdict,
)
from corral.types import Address, Subnet

from .kernel import StrictKernel
from .rulesets import rulesets, want

ONE, TWO, THREE = (Address.parse(f"10.42.0.{number}") for number in (1, 2, 3))
GROUP = NftSet("stack/one")
MAP = NftMap("dispatch")
RULE = NftRule((InSet(Field.CLIENT, GROUP.name), Count("hits"), Verdict(Verb.ACCEPT)))
SERVER = Chain("to-1", (RULE,))
OTHER = Chain("to-2", (NftRule((Verdict(Verb.DROP),)),))
BASE = Chain("forward", (NftRule((Dispatch(Field.SERVER, MAP.name),)),), Hook("forward", -10))
GO_SERVER, GO_OTHER = Verdict(Verb.GOTO, SERVER.name), Verdict(Verb.GOTO, OTHER.name)


def filled() -> Tracker:
    tracker = Tracker()
    tracker.adopt(None)
    tracker.put_chain(BASE)
    tracker.put_chain(SERVER)
    tracker.put_map(MAP)
    tracker.set_verdict(MAP.name, THREE, GO_SERVER)
    tracker.put_set(GROUP)
    tracker.add_elements(GROUP.name, [TWO, ONE])
    tracker.put_counter("hits")
    return tracker


def committed() -> Tracker:
    tracker = filled()
    tracker.committed(tracker.pending())
    return tracker


def pending(tracker: Tracker) -> tuple[Operation, ...]:
    return tracker.pending().operations


def test_a_first_transaction_builds_referents_before_what_refers_to_them() -> None:
    assert pending(filled()) == (
        AddTable(),
        AddCounter("hits"),
        AddSet(MAP),
        AddSet(GROUP),
        AddElements(GROUP.name, GROUP, (ONE, TWO)),
        AddChain(replace(BASE, rules=())),
        AddChain(replace(SERVER, rules=())),
        AddRule(BASE.name, BASE.rules[0]),
        AddRule(SERVER.name, RULE),
        AddVerdicts(MAP.name, {THREE: GO_SERVER}),
    )


def test_nothing_is_programmed_before_it_is_committed() -> None:
    tracker = filled()
    transaction = tracker.pending()
    assert tracker.pending() == transaction
    assert tracker.programmed_ruleset() == Ruleset()
    tracker.committed(transaction)
    assert tracker.programmed_ruleset() == tracker.desired_ruleset()
    assert not tracker.pending()
    assert not tracker.garbage()


def test_before_anything_is_desired_a_found_table_is_left_alone() -> None:
    tracker = Tracker()
    tracker.adopt(committed().programmed_ruleset())
    assert not tracker.pending()
    assert not tracker.garbage()


def test_a_restart_with_nothing_changed_writes_nothing() -> None:
    tracker = filled()
    tracker.adopt(committed().programmed_ruleset())
    assert not tracker.pending()
    assert not tracker.garbage()


def test_a_member_that_comes_and_one_that_goes_are_one_element_each() -> None:
    tracker = committed()
    tracker.add_elements(GROUP.name, [THREE])
    tracker.remove_elements(GROUP.name, [ONE])
    assert pending(tracker) == (DeleteElements(GROUP.name, GROUP, (ONE,)), AddElements(GROUP.name, GROUP, (THREE,)))


def test_what_is_done_and_undone_before_a_commit_is_nothing() -> None:
    tracker = committed()
    tracker.add_elements(GROUP.name, [THREE])
    tracker.remove_elements(GROUP.name, [THREE])
    tracker.put_counter("other")
    tracker.remove_counter("other")
    tracker.remove_verdict(MAP.name, THREE)
    tracker.set_verdict(MAP.name, THREE, GO_SERVER)
    assert pending(tracker) == ()


def test_a_moved_verdict_is_deleted_and_added() -> None:
    tracker = committed()
    tracker.put_chain(OTHER)
    tracker.set_verdict(MAP.name, THREE, GO_OTHER)
    tracker.remove_chain(SERVER.name)
    assert pending(tracker) == (
        AddChain(replace(OTHER, rules=())),
        AddRule(OTHER.name, OTHER.rules[0]),
        DeleteVerdicts(MAP.name, {THREE: GO_SERVER}),
        AddVerdicts(MAP.name, {THREE: GO_OTHER}),
    )


def test_verdicts_of_several_addresses_are_set_at_once() -> None:
    tracker = committed()
    tracker.set_verdicts(MAP.name, [TWO, THREE], GO_SERVER)
    assert pending(tracker) == (AddVerdicts(MAP.name, {TWO: GO_SERVER}),)
    tracker.remove_verdict(MAP.name, TWO)
    assert pending(tracker) == ()


def test_a_changed_chain_is_filled_anew() -> None:
    tracker = committed()
    tracker.put_chain(replace(BASE, rules=(OTHER.rules[0], *BASE.rules)))
    assert pending(tracker) == (
        FlushChain(BASE.name),
        AddRule(BASE.name, OTHER.rules[0]),
        AddRule(BASE.name, BASE.rules[0]),
    )


def test_subnets_are_deleted_before_overlapping_ones_are_added() -> None:
    tracker = committed()
    subnets = NftSet("subnets", SetType.SUBNETS)
    whole, half = Subnet.parse("10.42.0.0/16"), Subnet.parse("10.42.0.0/17")
    tracker.put_set(subnets)
    tracker.add_elements(subnets.name, [whole])
    tracker.committed(tracker.pending())
    tracker.remove_elements(subnets.name, [whole])
    tracker.add_elements(subnets.name, [half])
    assert pending(tracker) == (
        DeleteElements(subnets.name, subnets, (whole,)),
        AddElements(subnets.name, subnets, (half,)),
    )


def test_garbage_waits_until_nothing_refers_to_it() -> None:
    tracker = committed()
    tracker.remove_verdict(MAP.name, THREE)
    tracker.remove_chain(SERVER.name)
    tracker.remove_set(GROUP.name)
    tracker.remove_counter("hits")
    assert not tracker.garbage()
    assert pending(tracker) == (DeleteVerdicts(MAP.name, {THREE: GO_SERVER}),)
    tracker.committed(tracker.pending())
    assert tracker.garbage().operations == (DeleteChain(SERVER.name),)
    tracker.committed(tracker.garbage())
    assert tracker.garbage().operations == (DeleteSet(GROUP.name), DeleteCounter("hits"))
    tracker.committed(tracker.garbage())
    assert not tracker.garbage()
    assert tracker.programmed_ruleset() == tracker.desired_ruleset()


def retired() -> Tracker:
    tracker = committed()
    tracker.remove_verdict(MAP.name, THREE)
    tracker.remove_chain(SERVER.name)
    tracker.remove_set(GROUP.name)
    tracker.committed(tracker.pending())
    return tracker


def test_a_retired_chain_and_set_are_taken_up_again() -> None:
    tracker = retired()
    tracker.put_set(GROUP)
    tracker.add_elements(GROUP.name, [TWO, THREE])
    tracker.put_chain(SERVER)
    tracker.set_verdict(MAP.name, ONE, GO_SERVER)
    assert pending(tracker) == (
        DeleteElements(GROUP.name, GROUP, (ONE,)),
        AddElements(GROUP.name, GROUP, (THREE,)),
        AddVerdicts(MAP.name, {ONE: GO_SERVER}),
    )
    assert not tracker.garbage()


def test_what_is_wanted_again_while_its_removal_is_under_way_is_made_anew() -> None:
    tracker = retired()
    chains = tracker.garbage()
    tracker.committed(chains)
    removal = tracker.garbage()
    assert removal.operations == (DeleteSet(GROUP.name),)
    tracker.put_set(GROUP)
    tracker.add_elements(GROUP.name, [ONE])
    tracker.put_chain(SERVER)
    tracker.committed(removal)
    assert pending(tracker) == (
        AddSet(GROUP),
        AddElements(GROUP.name, GROUP, (ONE,)),
        AddChain(replace(SERVER, rules=())),
        AddRule(SERVER.name, RULE),
    )


def test_what_changes_during_a_commit_stays_pending() -> None:
    tracker = committed()
    tracker.add_elements(GROUP.name, [THREE])
    under_way = tracker.pending()
    tracker.remove_elements(GROUP.name, [THREE, ONE])
    tracker.committed(under_way)
    assert pending(tracker) == (DeleteElements(GROUP.name, GROUP, (ONE, THREE)),)


def test_an_empty_desired_content_means_no_table() -> None:
    tracker = committed()
    tracker.clear()
    assert pending(tracker) == (AddTable(), DeleteTable())
    assert not tracker.garbage()
    tracker.committed(tracker.pending())
    assert not tracker.pending()
    assert tracker.programmed_ruleset() == Ruleset()


def test_no_table_is_made_only_to_be_deleted() -> None:
    tracker = Tracker()
    tracker.adopt(None)
    tracker.clear()
    assert not tracker.pending()


def test_after_a_clean_up_everything_is_pending_again() -> None:
    tracker = committed()
    tracker.committed(Transaction((AddTable(), DeleteTable())))
    assert tracker.programmed_ruleset() == Ruleset()
    assert pending(tracker) == pending(filled())


def test_comments_alone_are_no_difference() -> None:
    tracker = filled()
    found = committed().programmed_ruleset()
    tracker.adopt(
        replace(
            found,
            sets={GROUP.name: replace(GROUP, comment="older words")},
            chains={name: replace(chain, comment="older words") for name, chain in found.chains.items()},
        )
    )
    assert not tracker.pending()


def test_a_rule_with_another_comment_is_replaced() -> None:
    tracker = committed()
    tracker.put_chain(replace(SERVER, rules=(replace(RULE, comment="new words"),)))
    assert [type(operation) for operation in pending(tracker)] == [FlushChain, AddRule]


def test_a_set_of_the_wrong_type_is_repaired_by_replacement() -> None:
    tracker = filled()
    found = committed().programmed_ruleset()
    wrong = {**found.sets, GROUP.name: replace(GROUP, type=SetType.SUBNETS)}
    tracker.adopt(replace(found, sets=wrong, elements={GROUP.name: frozenset()}))
    assert tracker.pending() == tracker.replace()
    assert pending(tracker)[:3] == (AddTable(), DeleteTable(), AddTable())
    tracker.committed(tracker.pending())
    assert tracker.programmed_ruleset() == tracker.desired_ruleset()
    assert not tracker.pending()


def test_a_base_chain_on_the_wrong_hook_is_repaired_by_replacement() -> None:
    tracker = filled()
    found = committed().programmed_ruleset()
    tracker.adopt(replace(found, chains={**found.chains, BASE.name: replace(BASE, hook=Hook("input", 0))}))
    assert tracker.pending() == tracker.replace()


def settle(tracker: Tracker, kernel: StrictKernel) -> None:
    for step in (tracker.pending, tracker.garbage):
        while transaction := step():
            kernel.commit(transaction)
            tracker.committed(transaction)


@given(rulesets(), rulesets(), rulesets())
def test_any_found_table_becomes_any_desired_one(found: Ruleset, first: Ruleset, second: Ruleset) -> None:
    builder, kernel = Tracker(), StrictKernel()
    want(builder, found)
    kernel.commit(builder.replace())
    tracker = Tracker()
    tracker.adopt(kernel.dump())
    for desired in (first, second):
        want(tracker, desired)
        assert tracker.desired_ruleset() == desired
        settle(tracker, kernel)
        assert (kernel.dump() or Ruleset()) == desired == tracker.programmed_ruleset()


@given(rulesets(), st.none() | rulesets())
def test_the_whole_difference_leads_from_one_ruleset_to_the_other(desired: Ruleset, found: Ruleset | None) -> None:
    tracker = Tracker(desired)
    tracker.adopt(found)
    tracker.committed(difference(desired, found))
    assert tracker.programmed_ruleset() == desired
    assert not difference(desired, desired) or desired == Ruleset()


def test_the_whole_difference_names_the_removals_too() -> None:
    ruleset = filled().desired_ruleset()
    without = replace(ruleset, maps={}, verdicts={}, chains={})
    assert difference(without, ruleset).operations == (
        DeleteChain(BASE.name),
        DeleteSet(MAP.name),
        DeleteChain(SERVER.name),
    )


@given(rulesets(), st.lists(rulesets(), max_size=4), st.data())
def test_a_late_confirmation_loses_nothing(first: Ruleset, others: list[Ruleset], data: st.DataObject) -> None:
    tracker, kernel = Tracker(), StrictKernel()
    tracker.adopt(None)
    want(tracker, first)
    for desired in others:
        step = data.draw(st.sampled_from([tracker.pending, tracker.garbage, tracker.replace, Transaction]))
        under_way = step()
        kernel.commit(under_way)
        want(tracker, desired)
        tracker.committed(under_way)
        assert tracker.programmed_ruleset() == (kernel.dump() or Ruleset())
    settle(tracker, kernel)
    assert (kernel.dump() or Ruleset()) == tracker.desired_ruleset()


def test_a_set_that_is_made_anew_during_a_commit_does_not_keep_what_that_commit_brought() -> None:
    tracker, kernel = Tracker(), StrictKernel()
    tracker.adopt(None)
    members = NftSet("stack/one")
    tracker.put_set(members)
    kernel.commit(tracker.pending())
    tracker.committed(tracker.pending())
    tracker.add_elements("stack/one", [Address(1), Address(2)])
    in_flight = tracker.pending()
    kernel.commit(in_flight)
    tracker.remove_set("stack/one")
    tracker.put_set(members)
    tracker.add_elements("stack/one", [Address(2)])
    tracker.committed(in_flight)
    kernel.commit(tracker.pending())
    dump = kernel.dump()
    assert dump is not None
    assert dump.elements["stack/one"] == {Address(2)}
