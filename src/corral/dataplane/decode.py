"""Dumps of the table as a `Ruleset`; what a ruleset can not hold becomes a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pyroute2.netlink.nfnetlink.nftsocket import DATA_TYPE_IPADDR

from corral.dataplane import elements
from corral.dataplane.codec import (
    ADDRESS_LENGTH,
    CHAIN_TYPE,
    COMMENT,
    HOOKS,
    INTERVAL,
    MAP,
    POLICY_ACCEPT,
    SET_COMMENT,
)
from corral.dataplane.elements import RawElement
from corral.dataplane.expression_decoder import UnknownExpressionError, decode_expressions
from corral.dataplane.messages import (
    COUNTER_OBJECT,
    VERDICT_TYPE,
    ChainMessage,
    ElementsMessage,
    ObjectMessage,
    RuleMessage,
    SetMessage,
    TableMessage,
    attributes,
    decode,
    read_comment,
)
from corral.nft.values import Chain, Element, Hook, NftMap, NftRule, NftSet, Ruleset, SetType, Verdict
from corral.types import Address

_Attributes = Mapping[str, Any]

_HOOK_NAMES = {number: name for name, number in HOOKS.items()}
_BASE_CHAIN = 1  # NFT_CHAIN_BASE
# What a set of ours never has; the rest of its attributes are read below.
_FOREIGN_SET_PARTS = {
    "NFTA_SET_TIMEOUT": "timeouts",
    "NFTA_SET_EXPR": "expressions",
    "NFTA_SET_EXPRESSIONS": "expressions",
    "NFTA_SET_OBJ_TYPE": "objects",
}
_SET_TYPES = {0: SetType.ADDRESSES, INTERVAL: SetType.SUBNETS}
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2  # NFTA_COUNTER_*
_DROPPED_CHAIN = "in a chain that is not corral's"


class TableDecoder:
    """Takes the messages of a dump, sets and chains before what is in them; `result` says what they make."""

    def __init__(self) -> None:
        self._counters: set[str] = set()
        self._sets: dict[str, NftSet] = {}
        self._elements: dict[str, set[Element]] = {}
        self._intervals: dict[str, list[RawElement]] = {}
        self._maps: dict[str, NftMap] = {}
        self._verdicts: dict[str, dict[Address, Verdict]] = {}
        self._chains: dict[str, Chain] = {}
        self._rules: dict[str, list[NftRule]] = {}
        self._alien: list[str] = []
        self._received: Counter[str] = Counter()

    @property
    def names_of_sets(self) -> list[str]:
        """The sets and maps whose elements are wanted."""
        return [*self._sets, *self._maps]

    @property
    def torn(self) -> bool:
        """Whether an element came twice, and so another may not have come at all.

        A dump goes through a hash table in several parts, counting elements to find where it was. The kernel grows
        the table in the background, after the commit: then the order changes between the parts, and nothing says so.
        """
        kept = {**self._elements, **self._verdicts}
        return any(count != len(kept[name]) for name, count in self._received.items())

    def table(self, payload: bytes) -> None:
        """The table itself."""
        flags = decode(TableMessage, payload).get("NFTA_TABLE_FLAGS", 0)
        if flags:
            self._alien.append(f"the table has flags {flags:#x} (1 is dormant: nothing is enforced)")

    def counter(self, payload: bytes) -> None:
        """A named object."""
        parts = decode(ObjectMessage, payload)
        name, kind = str(parts["NFTA_OBJ_NAME"]), parts.get("NFTA_OBJ_TYPE")
        if kind == COUNTER_OBJECT:
            self._counters.add(name)
        else:
            self._alien.append(f"object {name}: its type is {kind}, not counter")

    def flowtable(self) -> None:
        """A flow table: none is ours."""
        self._alien.append("a flowtable")

    def set(self, payload: bytes) -> None:
        """The declaration of a set or map."""
        parts = decode(SetMessage, payload)
        name, flags = str(parts["NFTA_SET_NAME"]), int(parts.get("NFTA_SET_FLAGS", 0))
        comment = read_comment(parts.get("NFTA_SET_USERDATA"), SET_COMMENT)
        if fault := _set_fault(parts, flags):
            self._alien.append(f"set {name}: {fault}")
        elif flags == MAP:
            self._maps[name], self._verdicts[name] = NftMap(name, comment), {}
        else:
            self._sets[name], self._elements[name] = NftSet(name, _SET_TYPES[flags], comment), set()

    def elements(self, name: str, payload: bytes) -> None:
        """Some elements of a set or map."""
        packed = decode(ElementsMessage, payload).get("NFTA_SET_ELEM_LIST_ELEMENTS") or b""
        declared = self._sets.get(name)
        if declared is not None and declared.type is SetType.ADDRESSES:
            plain = elements.unpack_addresses(packed)
            if plain is not None:
                self._received[name] += len(plain)
                self._elements[name].update(plain)
                return
        for element in elements.unpack(packed):
            self._element(name, declared, element)

    def _element(self, name: str, declared: NftSet | None, element: RawElement) -> None:
        if element.other or (declared is None) != (element.verdict is not None):
            self._alien.append(f"set {name}: element {Address(element.key)} carries more than corral writes")
        elif element.verdict is not None:
            self._received[name] += 1
            self._verdicts[name][Address(element.key)] = element.verdict
        elif declared is not None and declared.type is SetType.SUBNETS:
            self._intervals.setdefault(name, []).append(element)
        else:
            self._received[name] += 1
            self._elements[name].add(Address(element.key))

    def chain(self, payload: bytes) -> None:
        """A chain, without its rules."""
        parts = decode(ChainMessage, payload)
        name = str(parts["NFTA_CHAIN_NAME"])
        if fault := _chain_fault(parts):
            self._alien.append(f"chain {name}: {fault}")
            return
        comment = read_comment(parts.get("NFTA_CHAIN_USERDATA"), COMMENT)
        self._chains[name], self._rules[name] = Chain(name, (), _hook(parts), comment), []

    def rule(self, payload: bytes) -> None:
        """The next rule of its chain."""
        parts = decode(RuleMessage, payload)
        chain = str(parts["NFTA_RULE_CHAIN"])
        if chain not in self._rules:
            self._alien.append(f"chain {chain}: a rule {_DROPPED_CHAIN}")
            return
        try:
            expressions = decode_expressions(parts.get("NFTA_RULE_EXPRESSIONS") or b"")
        except UnknownExpressionError as error:
            self._alien.append(f"chain {chain}: after {len(self._rules[chain])} rules: {error}")
        else:
            comment = read_comment(parts.get("NFTA_RULE_USERDATA"), COMMENT)
            self._rules[chain].append(NftRule(expressions, comment))

    def result(self) -> tuple[Ruleset, tuple[str, ...]]:
        """The ruleset, and a sentence for each thing that is not in it."""
        for name, raw in self._intervals.items():
            self._elements[name].update(self._subnets(name, raw))
        ruleset = Ruleset(
            counters=frozenset(self._counters),
            sets=self._sets,
            elements={name: frozenset(members) for name, members in self._elements.items()},
            maps=self._maps,
            verdicts=self._verdicts,
            chains={name: replace(chain, rules=tuple(self._rules[name])) for name, chain in self._chains.items()},
        )
        return ruleset, tuple(self._alien)

    def _subnets(self, name: str, raw: Iterable[RawElement]) -> Iterator[Element]:
        for first, last in elements.intervals(raw):
            found = elements.subnet(first, last)
            if found is None:
                self._alien.append(f"set {name}: {Address(first)}-{Address(last)} is not a subnet")
            else:
                yield found


def _set_fault(parts: _Attributes, flags: int) -> str:
    if flags not in (0, INTERVAL, MAP):
        return f"its flags are {flags:#x}"
    if parts.get("NFTA_SET_KEY_TYPE") != int(DATA_TYPE_IPADDR) or parts.get("NFTA_SET_KEY_LEN") != ADDRESS_LENGTH:
        return "its keys are not IPv4 addresses"
    if flags == MAP and parts.get("NFTA_SET_DATA_TYPE") != VERDICT_TYPE:
        return "its values are not verdicts"
    return next((f"it has {part}" for name, part in _FOREIGN_SET_PARTS.items() if name in parts), "")


def _chain_fault(parts: _Attributes) -> str:
    flags = int(parts.get("NFTA_CHAIN_FLAGS") or 0)
    if flags & ~_BASE_CHAIN:
        return f"its flags are {flags:#x}"
    if "NFTA_CHAIN_HOOK" not in parts:
        return ""
    if parts.get("NFTA_CHAIN_TYPE") != CHAIN_TYPE:
        return f"its type is {parts.get('NFTA_CHAIN_TYPE')}, not {CHAIN_TYPE}"
    if parts.get("NFTA_CHAIN_POLICY") != POLICY_ACCEPT:
        return "its policy is not accept"
    return "" if _hook(parts) else "its hook is unknown"


def _hook(parts: _Attributes) -> Hook | None:
    place = parts.get("NFTA_CHAIN_HOOK")
    if place is None or place.get_attr("NFTA_HOOK_HOOKNUM") not in _HOOK_NAMES:
        return None
    return Hook(_HOOK_NAMES[place.get_attr("NFTA_HOOK_HOOKNUM")], int(place.get_attr("NFTA_HOOK_PRIORITY")))


def counter_values(payload: bytes) -> tuple[str, tuple[int, int]] | None:
    """Name, packets and bytes of a counter; None for another object."""
    parts = decode(ObjectMessage, payload)
    if parts.get("NFTA_OBJ_TYPE") != COUNTER_OBJECT:
        return None
    values = dict(attributes(parts.get("NFTA_OBJ_DATA") or b""))
    packets, octets = (int.from_bytes(values.get(kind, b""), "big") for kind in (_COUNTER_PACKETS, _COUNTER_BYTES))
    return str(parts["NFTA_OBJ_NAME"]), (packets, octets)
