"""Small random rulesets whose references resolve, over few names, so that any two of them meet."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st

from corral.nft.tracker import Tracker
from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Element,
    Expression,
    Field,
    Hook,
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
from corral.types import Address, Subnet

_ADDRESSES = tuple(Address.parse(f"10.42.0.{number}") for number in range(2, 6))
_SUBNETS = (("10.42.0.0/16",), ("10.42.0.0/17", "10.43.0.0/16"), ("10.0.0.0/8",), ())
_HOOKS = (Hook("forward", -10), Hook("forward", 0), Hook("input", 0))


@st.composite
def rulesets(draw: st.DrawFn) -> Ruleset:
    """Leaf chains first, then a base chain that may jump to them."""
    counters = draw(st.frozensets(st.sampled_from(("one", "two", "three"))))
    types = draw(st.dictionaries(st.sampled_from(("a", "b", "c", "m")), st.sampled_from(SetType)))
    maps = {name: NftMap(name) for name in draw(st.frozensets(st.sampled_from(("m", "n")))) if name not in types}
    parts: list[tuple[Expression, ...]] = [(), *((Count(name),) for name in sorted(counters))]
    parts += [(InSet(Field.CLIENT, name),) for name in sorted(types)]
    dynamic = [name for name in sorted(types) if types[name] is SetType.DYNAMIC]
    parts += [(LimitEach(Field.CLIENT, name, 60, Limit(1, 1)),) for name in dynamic]
    leaves = draw(st.frozensets(st.sampled_from(("x", "y", "z"))))
    chains = {name: Chain(name, draw(_rules(parts, [Verdict(Verb.ACCEPT), Verdict(Verb.DROP)]))) for name in leaves}
    if draw(st.booleans()):
        ends: list[Expression] = [Verdict(Verb.JUMP, name) for name in sorted(leaves)]
        ends += [Dispatch(Field.SERVER, name) for name in sorted(maps)]
        chains["base"] = Chain("base", draw(_rules(parts, [Verdict(Verb.DROP), *ends])), draw(st.sampled_from(_HOOKS)))
    targets = [Verdict(Verb.DROP), *(Verdict(Verb.GOTO, name) for name in sorted(leaves))]
    entries = st.dictionaries(st.sampled_from(_ADDRESSES), st.sampled_from(targets))
    return Ruleset(
        counters=counters,
        sets={name: NftSet(name, kind) for name, kind in types.items()},
        elements={name: draw(_elements(kind)) for name, kind in types.items()},
        maps=maps,
        verdicts={name: draw(entries) for name in maps},
        chains=chains,
    )


def _rules(parts: list[tuple[Expression, ...]], ends: list[Expression]) -> st.SearchStrategy[tuple[NftRule, ...]]:
    expressions = st.tuples(st.sampled_from(parts), st.sampled_from(ends)).map(lambda both: (*both[0], both[1]))
    return st.lists(st.builds(NftRule, expressions), max_size=2).map(tuple)


def _elements(kind: SetType) -> st.SearchStrategy[frozenset[Element]]:
    if kind is SetType.DYNAMIC:
        return st.just(frozenset())
    if kind is SetType.ADDRESSES:
        return st.frozensets(st.sampled_from(_ADDRESSES))
    return st.sampled_from(_SUBNETS).map(lambda texts: frozenset(map(Subnet.parse, texts)))


def want(tracker: Tracker, ruleset: Ruleset) -> None:
    """Turn a tracker's desired content into this one by its mutators."""
    if ruleset == Ruleset():
        tracker.clear()
    before = tracker.desired_ruleset()
    for kind, name in _removed(before, ruleset):
        {"chain": tracker.remove_chain, "map": tracker.remove_map, "set": tracker.remove_set}[kind](name)
    for counter in before.counters - ruleset.counters:
        tracker.remove_counter(counter)
    for counter in ruleset.counters:
        tracker.put_counter(counter)
    for chain in ruleset.chains.values():
        tracker.put_chain(chain)
    for declaration in ruleset.sets.values():
        tracker.put_set(declaration)
        had = (
            before.elements.get(declaration.name, frozenset())
            if declaration == before.sets.get(declaration.name)
            else frozenset()
        )
        tracker.remove_elements(declaration.name, had - ruleset.elements[declaration.name])
        tracker.add_elements(declaration.name, ruleset.elements[declaration.name] - had)
    for name, mapping in ruleset.maps.items():
        tracker.put_map(mapping)
        for address in before.verdicts.get(name, {}).keys() - ruleset.verdicts[name].keys():
            tracker.remove_verdict(name, address)
        for address, verdict in ruleset.verdicts[name].items():
            tracker.set_verdict(name, address, verdict)


def _removed(before: Ruleset, after: Ruleset) -> Iterator[tuple[str, str]]:
    yield from (("chain", name) for name in before.chains.keys() - after.chains.keys())
    yield from (("map", name) for name in before.maps.keys() - after.maps.keys())
    yield from (("set", name) for name in before.sets if before.sets[name] != after.sets.get(name))
