from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corral.policy.labels import LabelIndex, Labels, is_indexed
from corral.selector import Selector
from corral.types import Address

SELECTORS = [
    Selector.parse(text)
    for text in ("k", "k=a", "k!=a", "k in (a, b)", "k notin (a, b)", "k, x", "k=a, x!=b", "x notin (a), k in (a)", "y")
]
_maps = st.dictionaries(st.sampled_from(["k", "K", "x"]), st.sampled_from(["a", "A", "b", "c"]))
_labels = st.lists(_maps, max_size=2).map(tuple)
_endpoints = st.dictionaries(st.integers(0, 4).map(Address), _labels)


def index_of(*states: dict[Address, Labels]) -> LabelIndex:
    """One state became the next, endpoint by endpoint."""
    index, before = LabelIndex(), dict[Address, Labels]()
    for state in states:
        for address in {**before, **state}:
            if before.get(address) != state.get(address):
                index.discard(address, before.get(address, ()))
                index.add(address, state.get(address, ()))
        before = state
    return index


@given(_endpoints, _endpoints)
def test_selectors_choose_what_they_match(before: dict[Address, Labels], now: dict[Address, Labels]) -> None:
    index = index_of(before, now)
    for selector in SELECTORS:
        assert index.chosen(selector) == {address for address, labels in now.items() if selector.matches(labels)}


@given(_endpoints, _endpoints)
def test_holders_of_a_label_are_told_by_value(before: dict[Address, Labels], now: dict[Address, Labels]) -> None:
    expected: dict[str, set[Address]] = {}
    for address, labels in now.items():
        for mapping in labels:
            if "k" in mapping:
                expected.setdefault(mapping["k"], set()).add(address)
    assert dict(index_of(before, now).holders("k")) == expected


@given(_endpoints)
def test_nothing_is_left_of_what_went(endpoints: dict[Address, Labels]) -> None:
    assert not index_of(endpoints, {})._holders


def test_what_is_told_can_be_kept() -> None:
    labels = ({"k": "a"},)
    index = index_of({Address(1): labels, Address(2): labels})
    (_, holders), chosen = next(index.holders("k")), index.chosen(SELECTORS[0])
    index.add(Address(3), labels)
    assert holders == chosen == {Address(1), Address(2)}


def test_a_label_that_two_containers_of_an_endpoint_carry_is_one() -> None:
    labels = {"k": "a"}
    index = index_of({Address(1): (labels, labels), Address(2): (labels,)}, {Address(2): (labels,)})
    assert dict(index.holders("k")) == {"a": {Address(2)}}


def test_ranchers_own_labels_are_left_out() -> None:
    index = index_of({Address(1): ({"io.rancher.stack.name": "shop"},)}, {Address(1): ({"io.rancher.x": "y"},)})
    assert not is_indexed("io.rancher.stack.name")
    assert not index._holders
