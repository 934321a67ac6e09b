"""A packet's way through a ruleset, as the kernel walks it: for tests, and to show what a ruleset does."""

from __future__ import annotations

from dataclasses import dataclass, field

from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Equals,
    Expression,
    Field,
    InRange,
    InSet,
    Limit,
    LimitEach,
    Log,
    NftRule,
    Ruleset,
    SetType,
    State,
    Verb,
    Verdict,
)
from corral.types import Address, Protocol, Subnet

_Loaded = Address | str | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """The facts that rules ask for.

    `client`, `server`, `protocol` and `server_port` are connection tracking's, the same in both directions of a
    flow and on the ICMP errors that belong to it; they are None for a packet that it does not track.
    """

    source: Address | None = None
    destination: Address | None = None
    client: Address | None = None
    server: Address | None = None
    protocol: Protocol | None = None
    server_port: int | None = None
    state: str = "new"
    family: str = "ipv4"
    input_interface: str = ""
    output_interface: str = ""

    def load(self, name: Field) -> _Loaded:
        """The value that an expression loads; None ends the rule, as in the kernel."""
        values: dict[Field, _Loaded] = {
            Field.CLIENT: self.client,
            Field.SERVER: self.server,
            Field.SERVER_PORT: self.server_port,
            Field.PROTOCOL: self.protocol,
            Field.SOURCE: self.source,
            Field.DESTINATION: self.destination,
            Field.INPUT_INTERFACE: self.input_interface,
            Field.OUTPUT_INTERFACE: self.output_interface,
            Field.FAMILY: self.family,
        }
        return values[name]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict, the counters that the packet moved on its way, and the prefixes that it was logged with."""

    verdict: Verb
    counters: tuple[str, ...]
    logged: tuple[str, ...] = ()


def trace(ruleset: Ruleset, packet: Packet, hook: str = "forward") -> Verb:
    """Accept or drop."""
    return follow(ruleset, packet, hook).verdict


def follow(ruleset: Ruleset, packet: Packet, hook: str = "forward") -> Outcome:
    """Walk the base chains at `hook` in order of priority until one drops; their policy is accept.

    No packet comes too fast for a limit.
    """
    walk = _Walk(ruleset, packet)
    hooked = [(chain.hook.priority, name) for name, chain in ruleset.chains.items() if chain.hook]
    for _, name in sorted(hooked):
        chain = ruleset.chains[name]
        if chain.hook and chain.hook.hook == hook and walk.through(chain) is Verb.DROP:
            return walk.outcome(Verb.DROP)
    return walk.outcome(Verb.ACCEPT)


@dataclass(slots=True)
class _Walk:
    ruleset: Ruleset
    packet: Packet
    counters: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def outcome(self, verdict: Verb) -> Outcome:
        return Outcome(verdict, tuple(self.counters), tuple(self.logged))

    def through(self, chain: Chain) -> Verb | None:
        """The final verdict, or None where the packet returns to the caller."""
        for rule in chain.rules:
            verdict = self._verdict(rule)
            if verdict is None:
                continue
            if verdict.verb is Verb.RETURN:
                return None
            if verdict.verb is Verb.GOTO:
                return self.through(self.ruleset.chains[verdict.chain])
            final = self.through(self.ruleset.chains[verdict.chain]) if verdict.verb is Verb.JUMP else verdict.verb
            if final is not None:
                return final
        return None

    def _verdict(self, rule: NftRule) -> Verdict | None:
        for expression in rule.expressions:
            match expression:
                case Verdict():
                    return expression
                case Dispatch(name, entries):
                    return self._dispatched(entries, self.packet.load(name))
                case Count(counter):
                    self.counters.append(counter)
                case Log(prefix):
                    self.logged.append(prefix)
                case _:
                    if not self._matches(expression):
                        return None
        return None

    def _dispatched(self, name: str, loaded: _Loaded) -> Verdict | None:
        return None if loaded is None else self.ruleset.verdicts[name].get(_address(loaded))

    def _matches(self, expression: Expression) -> bool:
        match expression:
            case InSet(name, looked_up, negated):
                loaded = self.packet.load(name)
                return loaded is not None and self._contains(looked_up, loaded) != negated
            case Equals(name, value):
                return self.packet.load(name) == value
            case InRange(name, first, last):
                number = self.packet.load(name)
                return isinstance(number, int) and first <= number <= last
            case State(states):
                return self.packet.state in states
            case LimitEach(name):
                return self.packet.load(name) is not None
            case Limit():
                return True
            case _:
                raise TypeError(f"{expression} is no match")

    def _contains(self, name: str, loaded: _Loaded) -> bool:
        elements = self.ruleset.elements[name]
        address = _address(loaded)
        if self.ruleset.sets[name].type is SetType.SUBNETS:
            return any(isinstance(subnet, Subnet) and address in subnet for subnet in elements)
        return address in elements


def _address(loaded: _Loaded) -> Address:
    if not isinstance(loaded, Address):
        raise TypeError(f"{loaded!r} is no address")
    return loaded
