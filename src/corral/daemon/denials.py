"""Denied flows: what the kernel's reports mean in the environment's words, and a bounded memory of them. Pure."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Literal, NamedTuple

from corral.daemon.naming import flow_end
from corral.daemon.times import rfc3339
from corral.dataplane.flows.conntrack import TrackedFlow
from corral.dataplane.flows.flowlog import LoggedPacket
from corral.dataplane.flows.packet import ICMP, ICMPV6, TCP, UDP, protocol_name
from corral.documents.denied import DeniedFlow, FlowEnd
from corral.model.entities import Container
from corral.policy.render import INVALID_DROP, IPV6_DROP, default_counter, rule_counter
from corral.policy.rules import Policy
from corral.policy.verdict import Scene, judge
from corral.types import Action, Address, Flow, Protocol

MOST_FLOWS = 1000

_PREFIX = re.compile(r"corral (deny|audit) (\S+)")
_PROTOCOLS = {ICMP: Protocol.ICMP, TCP: Protocol.TCP, UDP: Protocol.UDP}
_DEFAULT_DENY = default_counter(Action.DENY)
# What is said where the rule or default that decided is all that is known.
_GENERAL = {
    "default": "denied by the default action",
    "unknown": "denied by the default action: an end is no known endpoint",
    "invalid": "dropped: connection tracking knows no flow that the packet belongs to",
    "ipv6": "dropped: IPv6 between containers, which no rule can name",
}
# A packet of these has no flow: it is told as it is.
FLOWLESS = frozenset({INVALID_DROP, IPV6_DROP})
_BY_COUNTER: Mapping[str, DecidedBy] = {INVALID_DROP: "invalid", IPV6_DROP: "ipv6", _DEFAULT_DENY: "default"}

DecidedBy = Literal["rule", "default", "unknown", "invalid", "ipv6"]
Verdict = Literal["deny", "audit"]


class End(NamedTuple):
    """One end of a flow, as it was called when the packet came."""

    name: str | None
    address: str
    party: str

    def document(self) -> FlowEnd:
        """As JSON."""
        return {"name": self.name, "address": self.address, "party": self.party}


@dataclass(frozen=True, slots=True)
class Denial:
    """What tells one denied flow from another."""

    client: End
    server: End
    protocol: str
    port: int | None
    verdict: Verdict
    decided_by: DecidedBy
    rule: int | None
    rule_text: str | None


class Rules:
    """Which rule a counter is of, under the policy in force and the one before: reports are some moments late."""

    def __init__(self) -> None:
        self._policy: Policy | None = None
        self._present: dict[str, tuple[int, str]] = {}
        self._former: dict[str, tuple[int, str]] = {}

    def look_up(self, counter: str, policy: Policy) -> tuple[int, str] | None:
        """The index and the text of the rule; of two that read the same the first decides."""
        if policy is not self._policy:
            rules = enumerate(policy.rules)
            self._former, self._present, self._policy = self._present, {}, policy
            for index, rule in rules:
                self._present.setdefault(rule_counter(rule), (index, str(rule)))
        return self._present.get(counter) or self._former.get(counter)


@dataclass(frozen=True, slots=True)
class Seen:
    """A denied packet: what it says, whether its flow was answered before, and how to say why."""

    denial: Denial
    answered: bool
    sentence: Callable[[], str]


@dataclass(slots=True)
class Observer:
    """Tells what reported packets mean."""

    rules: Rules = field(default_factory=Rules)

    def flowless(self, packet: LoggedPacket) -> bool:
        """Whether the packet belongs to no flow that connection tracking could be asked for."""
        match = _PREFIX.fullmatch(packet.prefix)
        return match is None or match[2] in FLOWLESS

    def see(
        self, packet: LoggedPacket, flow: TrackedFlow | None, scene: Scene, containers: Mapping[str, Container]
    ) -> Seen | None:
        """By the picture of this moment; None for what is no report of a rule of ours that denies."""
        match = _PREFIX.fullmatch(packet.prefix)
        tuples = _tuples(packet, None if self.flowless(packet) else flow)
        if match is None or tuples is None or _is_housekeeping(tuples):
            return None
        counter = match[2]
        verdict: Verdict = "audit" if match[1] == "audit" else "deny"
        rule = self.rules.look_up(counter, scene.policy)
        decided_by = _BY_COUNTER.get(counter, "rule" if counter.startswith("rule-deny-") else None)
        if decided_by is None:
            return None
        if decided_by == "default" and not {tuples.client, tuples.server} <= scene.endpoints.keys():
            decided_by = "unknown"
        denial = Denial(
            client=_end(tuples.client, scene, containers),
            server=_end(tuples.server, scene, containers),
            protocol=protocol_name(tuples.protocol),
            port=tuples.port,
            verdict=verdict,
            decided_by=decided_by,
            rule=rule[0] if rule else None,
            rule_text=rule[1] if rule else None,
        )
        return Seen(denial, tuples.answered, lambda: _sentence(denial, counter, tuples, scene))


class _Tuples(NamedTuple):
    client: Address | IPv6Address
    server: Address | IPv6Address
    protocol: int
    port: int | None
    answered: bool


def _tuples(packet: LoggedPacket, flow: TrackedFlow | None) -> _Tuples | None:
    if flow is not None:
        return _Tuples(flow.client, flow.server, flow.protocol, flow.port, flow.answered)
    header = packet.header
    if header is None:
        return None
    return _Tuples(header.source, header.destination, header.protocol, header.destination_port, answered=False)


def _is_housekeeping(tuples: _Tuples) -> bool:
    """Each interface that comes up looks for routers, neighbours and listeners: nobody misses that."""
    return tuples.protocol == ICMPV6 and isinstance(tuples.server, IPv6Address) and tuples.server.is_multicast


def _end(address: Address | IPv6Address, scene: Scene, containers: Mapping[str, Container]) -> End:
    if isinstance(address, IPv6Address):
        return End(None, str(address), str(address))
    end = flow_end(address, scene.endpoints, containers)
    return End(end["name"], end["address"], end["party"])


def _sentence(denial: Denial, counter: str, tuples: _Tuples, scene: Scene) -> str:
    """The reference verdict's where it agrees with the kernel, whose word counts."""
    said = _judged(counter, tuples, scene)
    if said is None and denial.decided_by == "rule":
        said = f"denied by policy[{denial.rule}] ({denial.rule_text})" if denial.rule_text else "denied by a rule"
    said = said or _GENERAL[denial.decided_by]
    return f"let through by audit mode, else {said}" if denial.verdict == "audit" else said


def _judged(counter: str, tuples: _Tuples, scene: Scene) -> str | None:
    client, server = tuples.client, tuples.server
    if counter in FLOWLESS or isinstance(client, IPv6Address) or isinstance(server, IPv6Address):
        return None
    protocol = _PROTOCOLS.get(tuples.protocol, Protocol.ICMP)
    judgement = judge(scene, Flow(client, server, protocol, None if protocol is Protocol.ICMP else tuples.port))
    if judgement.action is not Action.DENY:
        return None
    decider = _DEFAULT_DENY if judgement.rule is None else rule_counter(scene.policy.rules[judgement.rule])
    return judgement.sentence if decider == counter else None


@dataclass(slots=True)
class Entry:
    """A flow and what was seen of it; times are seconds since the epoch."""

    denial: Denial
    sentence: str
    answered: bool
    first: float
    last: float
    count: int = 0
    told: dict[str, tuple[float, int]] = field(default_factory=dict)

    def due(self, listener: str, pause: float) -> int:
        """How many reports to tell the listener of now: none while it was told less than `pause` seconds ago."""
        at, count = self.told.get(listener, (None, 0))
        if at is not None and 0 <= self.last - at < pause:
            return 0
        self.told[listener] = self.last, self.count
        return self.count - count

    def document(self) -> DeniedFlow:
        """As JSON."""
        denial = self.denial
        return {
            "client": denial.client.document(),
            "server": denial.server.document(),
            "protocol": denial.protocol,
            "port": denial.port,
            "verdict": denial.verdict,
            "decided_by": denial.decided_by,
            "rule": denial.rule,
            "rule_text": denial.rule_text,
            "sentence": self.sentence,
            "answered": self.answered,
            "count": self.count,
            "first": rfc3339(self.first),
            "last": rfc3339(self.last),
        }


class DeniedBook:
    """The flows denied of late, at most `most` of them: the one seen longest ago is forgotten first."""

    def __init__(self, most: int = MOST_FLOWS) -> None:
        self.forgotten = 0
        self._most = most
        self._entries: OrderedDict[Denial, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, seen: Seen, now: float) -> Entry:
        """Count a packet."""
        entry = self._entries.get(seen.denial)
        if entry is None:
            entry = self._entries[seen.denial] = Entry(seen.denial, seen.sentence(), seen.answered, now, now)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
                self.forgotten += 1
        self._entries.move_to_end(seen.denial)
        entry.count += 1
        entry.last = now
        entry.answered = entry.answered or seen.answered
        return entry

    def latest(self) -> Iterator[Entry]:
        """The latest first."""
        return reversed(self._entries.values())
