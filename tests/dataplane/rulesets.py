"""Rulesets to commit and compare, and the transaction that makes one from nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from corral.nft.transaction import (
    AddChain,
    AddCounter,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    AddVerdicts,
    Operation,
    Transaction,
)
from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Equals,
    Expression,
    Field,
    Hook,
    InRange,
    InSet,
    Limit,
    LimitEach,
    Log,
    NftMap,
    NftRule,
    NftSet,
    Ruleset,
    SetType,
    State,
    Verb,
    Verdict,
)
from corral.types import Address, Subnet

ACCEPT, DROP, RETURN = Verdict(Verb.ACCEPT), Verdict(Verb.DROP), Verdict(Verb.RETURN)


def address(text: str) -> Address:
    return Address.parse(text)


def subnet(text: str) -> Subnet:
    return Subnet.parse(text)


def creation(ruleset: Ruleset) -> Transaction:
    """Makes the whole ruleset, its objects in the order of their names."""
    operations: list[Operation] = [AddTable()]
    operations += [AddCounter(name) for name in sorted(ruleset.counters)]
    operations += [AddSet(ruleset.sets[name]) for name in sorted(ruleset.sets)]
    operations += [AddSet(ruleset.maps[name]) for name in sorted(ruleset.maps)]
    operations += [AddChain(replace(ruleset.chains[name], rules=())) for name in sorted(ruleset.chains)]
    for name, members in ruleset.elements.items():
        if members:
            operations.append(AddElements(name, ruleset.sets[name], tuple(members)))
    operations += [AddVerdicts(name, verdicts) for name, verdicts in ruleset.verdicts.items() if verdicts]
    operations += [AddRule(name, rule) for name, chain in ruleset.chains.items() for rule in chain.rules]
    return Transaction(tuple(operations))


def ruleset(*, chains: tuple[Chain, ...] = (), counters: tuple[str, ...] = ()) -> Ruleset:
    """A ruleset of counters and chains only."""
    return Ruleset(counters=frozenset(counters), chains={chain.name: chain for chain in chains})


WORKED_EXAMPLE = Ruleset(
    counters=frozenset({"default-deny", "rule-0-allow", "lost"}),
    sets={
        "every": NftSet("every", SetType.SUBNETS, "the whole address space"),
        "denied-clients": NftSet("denied-clients", SetType.DYNAMIC, "made by packets"),
        "from-3": NftSet("from-3"),
        "nobody": NftSet("nobody"),
        "stack/one": NftSet("stack/one", comment="stack one"),
        "subnets": NftSet("subnets", SetType.SUBNETS),
        "system": NftSet("system"),
    },
    elements={
        "every": frozenset({subnet("0.0.0.0/0")}),
        "denied-clients": frozenset(),
        "from-3": frozenset({Address(0), Address(2**32 - 1), address("10.42.0.7")}),
        "nobody": frozenset(),
        "stack/one": frozenset({address("10.42.0.2"), address("10.42.0.3")}),
        "subnets": frozenset(map(subnet, ("10.42.0.0/17", "10.42.128.0/17", "1.2.3.4/32", "255.255.255.254/31"))),
        "system": frozenset({address("10.42.0.1")}),
    },
    maps={"dispatch": NftMap("dispatch", "by server"), "idle": NftMap("idle")},
    verdicts={
        "dispatch": {
            address("10.42.0.3"): Verdict(Verb.GOTO, "to-ab12cd34"),
            address("10.42.0.2"): DROP,
            address("10.42.0.4"): ACCEPT,
            address("10.42.0.5"): RETURN,
            address("10.42.0.6"): Verdict(Verb.JUMP, "to-ab12cd34"),
        },
        "idle": {},
    },
    chains={
        "check": Chain(
            "check",
            (
                NftRule((InSet(Field.CLIENT, "system"), RETURN)),
                NftRule((Dispatch(Field.SERVER, "dispatch"),)),
                NftRule((Dispatch(Field.SOURCE, "dispatch"),)),
            ),
        ),
        "denied/default-deny": Chain(
            "denied/default-deny",
            (
                NftRule(
                    (
                        LimitEach(Field.CLIENT, "denied-clients", 60, Limit(5, 10)),
                        Limit(100, 100),
                        Log("corral deny default-deny", 8799, 128),
                    )
                ),
                NftRule((LimitEach(Field.SOURCE, "denied-clients", 90_061, Limit(1, 1)), Log("x" * 127, 0, 1), DROP)),
                NftRule((Limit(1_000_000, 4_000_000_000), ACCEPT), "not too many"),
            ),
        ),
        "empty": Chain("empty", ()),
        "forward": Chain(
            "forward",
            (
                NftRule(
                    (InSet(Field.CLIENT, "subnets"), InSet(Field.SERVER, "subnets"), Verdict(Verb.JUMP, "check")),
                    "both managed",
                ),
                NftRule(
                    (
                        InSet(Field.SOURCE, "subnets"),
                        InSet(Field.DESTINATION, "subnets"),
                        State(("invalid", "untracked")),
                        Count("lost"),
                        DROP,
                    )
                ),
                NftRule(
                    (
                        Equals(Field.FAMILY, "ipv6"),
                        Equals(Field.INPUT_INTERFACE, "docker0"),
                        Equals(Field.OUTPUT_INTERFACE, "docker0"),
                        DROP,
                    )
                ),
                NftRule((Equals(Field.FAMILY, "ipv4"), Count("lost"))),
                NftRule((InSet(Field.CLIENT, "every"),)),
                NftRule((InSet(Field.CLIENT, "subnets"), InSet(Field.DESTINATION, "subnets"), ACCEPT)),
                NftRule((Equals(Field.CLIENT, "10.42.0.9"), Equals(Field.DESTINATION, "10.42.0.10"), ACCEPT)),
                NftRule((State(("established",)), ACCEPT)),
            ),
            Hook("forward", -10),
            "the only hook",
        ),
        "to-ab12cd34": Chain(
            "to-ab12cd34",
            (
                NftRule((InSet(Field.CLIENT, "stack/one"), Count("rule-0-allow"), ACCEPT), "policy[0] within stack: é"),
                NftRule((InSet(Field.CLIENT, "from-3", negated=True), ACCEPT)),
                NftRule(
                    (
                        InSet(Field.CLIENT, "from-3"),
                        Equals(Field.PROTOCOL, "tcp"),
                        InRange(Field.SERVER_PORT, 80, 80),
                        ACCEPT,
                    )
                ),
                NftRule(
                    (
                        InSet(Field.SOURCE, "from-3"),
                        Equals(Field.PROTOCOL, "udp"),
                        InRange(Field.SERVER_PORT, 8000, 65535),
                        ACCEPT,
                    )
                ),
                NftRule((Equals(Field.PROTOCOL, "icmp"), ACCEPT)),
                NftRule((Count("default-deny"), DROP), "x" * 127),
            ),
            comment="stack_one/service_one",
        ),
    },
)


_FIELDS = st.sampled_from([Field.CLIENT, Field.SERVER, Field.SOURCE, Field.DESTINATION])
_PORTS = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(sorted)
_STATES = st.sets(st.sampled_from(["invalid", "established", "related", "new", "untracked"]), min_size=1).map(
    lambda chosen: State(
        tuple(name for name in ("invalid", "established", "related", "new", "untracked") if name in chosen)
    )
)
_ADDRESSES = st.integers(0, 2**32 - 1).map(Address)


@st.composite
def _ports(draw: st.DrawFn) -> tuple[Expression, ...]:
    first, last = draw(_PORTS)
    protocol = Equals(Field.PROTOCOL, draw(st.sampled_from(["tcp", "udp", "sctp"])))
    return protocol, InRange(Field.SERVER_PORT, first, last)


_MATCHES: st.SearchStrategy[tuple[Expression, ...]] = st.one_of(
    st.builds(InSet, _FIELDS, st.sampled_from(["members", "nets"]), st.booleans()).map(lambda part: (part,)),
    st.builds(Equals, _FIELDS, _ADDRESSES.map(str)).map(lambda part: (part,)),
    st.builds(
        Equals, st.sampled_from([Field.INPUT_INTERFACE, Field.OUTPUT_INTERFACE]), st.sampled_from(["br0", "a" * 15])
    ).map(lambda part: (part,)),
    st.just((Equals(Field.PROTOCOL, "icmp"),)),
    st.just((Equals(Field.FAMILY, "ipv6"),)),
    _STATES.map(lambda part: (part,)),
    _ports(),
)
_VERDICTS = st.sampled_from([ACCEPT, DROP, RETURN, Verdict(Verb.GOTO, "target"), Verdict(Verb.JUMP, "target")])
_PACKETS = st.sampled_from([1, 10, 100, 2**32 - 1])
_LIMITS = st.builds(Limit, _PACKETS, _PACKETS)
_STATEMENTS: st.SearchStrategy[Expression] = st.one_of(
    _LIMITS,
    st.builds(LimitEach, _FIELDS, st.just("clients"), st.sampled_from([1, 59, 60, 3600, 86_400, 694_861]), _LIMITS),
    st.builds(
        Log,
        st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"$'), min_size=1, max_size=127),
        st.integers(0, 65535),
        st.sampled_from([1, 128, 2**32 - 1]),
    ),
)
_ENDINGS: st.SearchStrategy[tuple[Expression, ...]] = st.one_of(
    st.tuples(st.lists(_STATEMENTS, min_size=1, max_size=3).map(tuple), _VERDICTS).map(
        lambda both: (*both[0], both[1])
    ),
    st.lists(_STATEMENTS, min_size=1, max_size=3).map(tuple),
    _VERDICTS.map(lambda verdict: (verdict,)),
    _VERDICTS.map(lambda verdict: (Count("hits"), verdict)),
    st.just((Count("hits"),)),
    _FIELDS.map(lambda field: (Dispatch(field, "dispatch"),)),
)
_COMMENTS = st.one_of(
    st.just(""), st.text(st.characters(categories=("L", "N", "P"), exclude_characters='"'), max_size=30)
)


@st.composite
def _rules(draw: st.DrawFn) -> NftRule:
    matches = [part for match in draw(st.lists(_MATCHES, max_size=3)) for part in match]
    families = {part for part in matches if isinstance(part, Equals) and part.field is Field.FAMILY}
    if families:  # nft takes IPv6 beside no match that implies IPv4
        matches = [*families, *(part for part in matches if isinstance(part, State))]
        return NftRule((*matches, draw(_VERDICTS)), draw(_COMMENTS))
    return NftRule((*matches, *draw(_ENDINGS)), draw(_COMMENTS))


@st.composite
def rulesets(draw: st.DrawFn) -> Ruleset:
    """Random tables in which everything referred to is there."""
    rules = draw(st.lists(_rules(), max_size=6))
    prefixes = draw(st.lists(st.tuples(_ADDRESSES, st.integers(1, 32)), max_size=6))
    return Ruleset(
        counters=frozenset({"hits"}),
        sets={
            "clients": NftSet("clients", SetType.DYNAMIC, draw(_COMMENTS)),
            "members": NftSet("members", comment=draw(_COMMENTS)),
            "nets": NftSet("nets", SetType.SUBNETS),
        },
        elements={
            "clients": frozenset(),
            "members": frozenset(draw(st.sets(_ADDRESSES, max_size=8))),
            "nets": frozenset(_disjoint([Subnet.parse(f"{first}/{length}") for first, length in prefixes])),
        },
        maps={"dispatch": NftMap("dispatch")},
        verdicts={"dispatch": draw(st.dictionaries(_ADDRESSES, _VERDICTS, max_size=5))},
        chains={
            "target": Chain("target", (), comment=draw(_COMMENTS)),
            "zone": Chain("zone", tuple(rules), draw(st.sampled_from([None, Hook("forward", -10), Hook("input", 0)]))),
        },
    )


def _disjoint(subnets: list[Subnet]) -> list[Subnet]:
    kept: list[Subnet] = []
    for candidate in subnets:
        if not any(candidate.first <= other.last and other.first <= candidate.last for other in kept):
            kept.append(candidate)
    return kept
