"""Dumps of the table as a `Ruleset`; what a ruleset can not hold becomes a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from pyroute2.netlink.nfnetlink.nftsocket import DATA_TYPE_IPADDR

from corral.dataplane import elements
from corral.dataplane.codec import (
    ADDRESS_LENGTH,
    CHAIN_TYPE,
    COMMENT,
    DYNAMIC,
    HOOKS,
    INTERVAL,
    MAP,
    POLICY_ACCEPT,
    SET_COMMENT,
    TIMEOUT,
)
from corral.dataplane.elements import RawElement
from corral.dataplane.expression_decoder import UnknownExpressionError, decode_expressions
from corral.dataplane.messages import (
    COUNTER_OBJECT,
    VERDICT_TYPE,
    attributes,
    fields,
    read_comment,
    read_number,
    read_text,
)
from corral.nft.values import (
    DYNAMIC_SIZE,
    Chain,
    Element,
    Hook,
    NftMap,
    NftRule,
    NftSet,
    Ruleset,
    SetType,
    Verdict,
)
from corral.types import Address

_Attributes = Mapping[int, bytes]

_HOOK_NAMES = {number: name for name, number in HOOKS.items()}
_BASE_CHAIN = 1  # NFT_CHAIN_BASE

# Attributes, from linux/netfilter/nf_tables.h
_TABLE_FLAGS = 2
_OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA = 2, 3, 4
_SET_NAME, _SET_FLAGS, _KEY_TYPE, _KEY_LENGTH, _DATA_TYPE, _SET_USER_DATA = 2, 3, 4, 5, 6, 13
_SET_DESCRIPTION, _DESCRIBED_SIZE = 9, 1
_ELEMENTS = 3
_CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE, _CHAIN_FLAGS, _CHAIN_USER_DATA = 3, 4, 5, 7, 10, 12
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USER_DATA = 2, 4, 7
# What a set of ours never has; the rest of its attributes are read below.
_FOREIGN_SET_PARTS = {11: "timeouts", 15: "objects", 17: "expressions", 18: "expressions"}
_SET_TYPES = {0: SetType.ADDRESSES, INTERVAL: SetType.SUBNETS, DYNAMIC | TIMEOUT: SetType.DYNAMIC}
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
        """The sets and maps whose elements are wanted: not those that packets make."""
        return [*(name for name, one in self._sets.items() if one.type is not SetType.DYNAMIC), *self._maps]

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
        flags = read_number(fields(payload).get(_TABLE_FLAGS, b""))
        if flags:
            self._alien.append(f"the table has flags {flags:#x} (1 is dormant: nothing is enforced)")

    def counter(self, payload: bytes) -> None:
        """A named object."""
        parts = fields(payload)
        name, kind = read_text(parts[_OBJECT_NAME]), read_number(parts.get(_OBJECT_TYPE, b""))
        if kind == COUNTER_OBJECT:
            self._counters.add(name)
        else:
            self._alien.append(f"object {name}: its type is {kind}, not counter")

    def flowtable(self) -> None:
        """A flow table: none is ours."""
        self._alien.append("a flowtable")

    def set(self, payload: bytes) -> None:
        """The declaration of a set or map."""
        parts = fields(payload)
        name, flags = read_text(parts[_SET_NAME]), read_number(parts.get(_SET_FLAGS, b""))
        comment = read_comment(parts.get(_SET_USER_DATA, b""), SET_COMMENT)
        if fault := _set_fault(parts, flags):
            self._alien.append(f"set {name}: {fault}")
        elif flags == MAP:
            self._maps[name], self._verdicts[name] = NftMap(name, comment), {}
        else:
            self._sets[name], self._elements[name] = NftSet(name, _SET_TYPES[flags], comment), set()

    def elements(self, name: str, payload: bytes) -> None:
        """Some elements of a set or map."""
        packed = fields(payload).get(_ELEMENTS, b"")
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
        parts = fields(payload)
        name = read_text(parts[_CHAIN_NAME])
        if fault := _chain_fault(parts):
            self._alien.append(f"chain {name}: {fault}")
            return
        comment = read_comment(parts.get(_CHAIN_USER_DATA, b""), COMMENT)
        self._chains[name], self._rules[name] = Chain(name, (), _hook(parts), comment), []

    def rule(self, payload: bytes) -> None:
        """The next rule of its chain."""
        parts = fields(payload)
        chain = read_text(parts[_RULE_CHAIN])
        if chain not in self._rules:
            self._alien.append(f"chain {chain}: a rule {_DROPPED_CHAIN}")
            return
        try:
            expressions = decode_expressions(parts.get(_RULE_EXPRESSIONS, b""))
        except UnknownExpressionError as error:
            self._alien.append(f"chain {chain}: after {len(self._rules[chain])} rules: {error}")
        else:
            comment = read_comment(parts.get(_RULE_USER_DATA, b""), COMMENT)
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
    if flags != MAP and flags not in _SET_TYPES:
        return f"its flags are {flags:#x}"
    key = read_number(parts.get(_KEY_TYPE, b"")), read_number(parts.get(_KEY_LENGTH, b""))
    if key != (int(DATA_TYPE_IPADDR), ADDRESS_LENGTH):
        return "its keys are not IPv4 addresses"
    if flags == MAP and read_number(parts.get(_DATA_TYPE, b"")) != VERDICT_TYPE:
        return "its values are not verdicts"
    size = read_number(dict(attributes(parts.get(_SET_DESCRIPTION, b""))).get(_DESCRIBED_SIZE, b""))
    if size != (DYNAMIC_SIZE if flags == DYNAMIC | TIMEOUT else 0):
        return f"its size is {size}"  # and would refuse elements sooner or later
    return next((f"it has {part}" for kind, part in _FOREIGN_SET_PARTS.items() if kind in parts), "")


def _chain_fault(parts: _Attributes) -> str:
    flags = read_number(parts.get(_CHAIN_FLAGS, b""))
    if flags & ~_BASE_CHAIN:
        return f"its flags are {flags:#x}"
    if _CHAIN_HOOK not in parts:
        return ""
    if (kind := read_text(parts.get(_CHAIN_TYPE, b""))) != CHAIN_TYPE:
        return f"its type is {kind}, not {CHAIN_TYPE}"
    if parts.get(_CHAIN_POLICY) != POLICY_ACCEPT.to_bytes(4, "big"):
        return "its policy is not accept"
    return "" if _hook(parts) else "its hook is unknown"


def _hook(parts: _Attributes) -> Hook | None:
    place = dict(attributes(parts.get(_CHAIN_HOOK, b"")))
    number, priority = (place.get(kind, b"") for kind in (_HOOK_NUMBER, _HOOK_PRIORITY))
    name = _HOOK_NAMES.get(read_number(number)) if number else None
    return None if name is None else Hook(name, int.from_bytes(priority, "big", signed=True))


def counter_values(payload: bytes) -> tuple[str, tuple[int, int]] | None:
    """Name, packets and bytes of a counter; None for another object."""
    parts = fields(payload)
    if read_number(parts.get(_OBJECT_TYPE, b"")) != COUNTER_OBJECT:
        return None
    values = dict(attributes(parts.get(_OBJECT_DATA, b"")))
    packets, octets = (read_number(values.get(kind, b"")) for kind in (_COUNTER_PACKETS, _COUNTER_BYTES))
    return read_text(parts[_OBJECT_NAME]), (packets, octets)
