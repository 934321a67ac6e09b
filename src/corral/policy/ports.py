"""All ports in classes that policies decide alike, and classes in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from corral.policy.rules import FromTo, Policy, Ports
from corral.types import Protocol

FIRST, LAST = 1, 65535
_WITH_PORTS = (Protocol.TCP, Protocol.UDP)


@dataclass(frozen=True, slots=True)
class PortClass:
    """Ports that are all decided alike, each range of one protocol; the `rest` is what no rule names, ICMP included."""

    ranges: tuple[Ports, ...]
    rest: bool = False

    def holds(self, protocol: Protocol, port: int | None) -> bool:
        """Whether a flow to this port is of the class, which is not the rest."""
        return port is not None and any(
            one.protocol is protocol and one.first <= port <= one.last for one in self.ranges
        )

    def is_among(self, ports: Collection[Ports]) -> bool:
        """Whether ports that a rule lists cover the class, which they do wholly or not at all; no list covers all."""
        if not ports:
            return True
        return bool(self.ranges) and not self.rest and _listed(self.ranges[0], ports)


def port_classes_of(policies: Iterable[Policy]) -> tuple[PortClass, ...]:
    """All ports, in as few classes as all these policies decide alike; the last class is the rest."""
    lists = {
        rule.form.ports: None
        for policy in policies
        for rule in policy.rules
        if isinstance(rule.form, FromTo) and rule.form.ports
    }
    classes: dict[tuple[bool, ...], list[Ports]] = {}
    for segment in _segments({one for ports in lists for one in ports}):
        listed = tuple([_listed(segment, ports) for ports in lists])
        if any(listed):
            classes.setdefault(listed, []).append(segment)
    return (*(PortClass(tuple(_joined(ranges))) for ranges in classes.values()), PortClass((), rest=True))


def class_of(classes: Sequence[PortClass], protocol: Protocol, port: int | None) -> int:
    """The index of the class that a flow is of."""
    for index, one in enumerate(classes[:-1]):
        if one.holds(protocol, port):
            return index
    return len(classes) - 1


def ports_in_words(chosen: Iterable[int], classes: Sequence[PortClass]) -> str:
    """Some of the classes: `any`, `tcp 80, udp 53`, `any but tcp 80`."""
    chosen = set(chosen)
    if len(chosen) == len(classes):
        return "any"
    if len(classes) - 1 not in chosen:
        return _words(classes[index] for index in sorted(chosen))
    return f"any but {_words(one for index, one in enumerate(classes) if index not in chosen)}"


def _words(classes: Iterable[PortClass]) -> str:
    ranges = sorted((one for each in classes for one in each.ranges), key=_place)
    return ", ".join(map(_range_in_words, _joined(ranges)))


def _range_in_words(ports: Ports) -> str:
    if (ports.first, ports.last) == (FIRST, LAST):
        return f"all {ports.protocol}"
    number = str(ports.first) if ports.first == ports.last else f"{ports.first}-{ports.last}"
    return f"{ports.protocol} {number}"


def _place(ports: Ports) -> tuple[str, int]:
    return str(ports.protocol), ports.first


def _segments(named: Collection[Ports]) -> Iterator[Ports]:
    """Each protocol's ports, cut wherever a range begins or ends."""
    for protocol in _WITH_PORTS:
        cuts = {FIRST, LAST + 1}
        for one in named:
            if one.protocol in (None, protocol):
                cuts.update((one.first, one.last + 1))
        for first, following in pairwise(sorted(cuts)):
            yield Ports(first, following - 1, protocol)


def _listed(segment: Ports, ports: Iterable[Ports]) -> bool:
    return any(one.protocol in (None, segment.protocol) and one.first <= segment.first <= one.last for one in ports)


def _joined(ranges: Iterable[Ports]) -> list[Ports]:
    """Neighbours become one; they are in order."""
    joined: list[Ports] = []
    for one in ranges:
        if joined and joined[-1].protocol is one.protocol and joined[-1].last + 1 == one.first:
            joined[-1] = Ports(joined[-1].first, one.last, one.protocol)
        else:
            joined.append(one)
    return joined
