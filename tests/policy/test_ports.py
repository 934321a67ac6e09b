"""Classes of ports, and their words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.policy.ports import PortClass, class_of, port_classes_of, ports_in_words
from corral.policy.rules import FromTo, Policy, Ports, Rule
from corral.selector import Selector
from corral.types import Action, Protocol

from .scenes import policy

protocols = st.sampled_from((Protocol.TCP, Protocol.UDP))


@st.composite
def ranges(draw: st.DrawFn) -> Ports:
    first, last = sorted(draw(st.lists(st.integers(1, 30), min_size=2, max_size=2)))
    return Ports(first, last, draw(st.one_of(st.none(), protocols)))


lists = st.lists(st.lists(ranges(), min_size=1, max_size=3).map(tuple), max_size=4)


def naming(*port_lists: tuple[Ports, ...]) -> Policy:
    label = Selector.parse("a")
    return Policy(tuple(Rule(FromTo(label, label, ports), Action.ALLOW) for ports in port_lists))


def listed(ports: tuple[Ports, ...], protocol: Protocol, port: int) -> bool:
    return any(one.protocol in (None, protocol) and one.first <= port <= one.last for one in ports)


@given(lists)
def test_ports_are_in_one_class_exactly_if_the_same_rules_list_them(port_lists: list[tuple[Ports, ...]]) -> None:
    classes = port_classes_of([naming(*port_lists)])
    by_class: dict[int, set[tuple[bool, ...]]] = {}
    for protocol in (Protocol.TCP, Protocol.UDP):
        for port in (*range(1, 32), 65535):
            place = class_of(classes, protocol, port)
            by_class.setdefault(place, set()).add(tuple(listed(ports, protocol, port) for ports in port_lists))
            assert [classes[place].is_among(ports) for ports in port_lists] == [
                listed(ports, protocol, port) for ports in port_lists
            ]
            assert [one.holds(protocol, port) for one in classes].count(True) == (place != len(classes) - 1)
    assert all(len(lists) == 1 for lists in by_class.values())
    assert len(set.union(*by_class.values())) == len(by_class)


def test_what_has_no_port_is_in_the_rest() -> None:
    classes = port_classes_of([naming((Ports(1, 65535),))])
    assert classes == (
        PortClass((Ports(1, 65535, Protocol.TCP), Ports(1, 65535, Protocol.UDP))),
        PortClass((), rest=True),
    )
    assert class_of(classes, Protocol.ICMP, None) == 1


@pytest.mark.parametrize(
    ("given", "chosen", "words"),
    [
        ([], {0}, "any"),
        (["80/tcp"], {0}, "tcp 80"),
        (["80/tcp"], {1}, "any but tcp 80"),
        (["80/tcp"], {0, 1}, "any"),
        (["80", "53/udp"], {0}, "tcp 80, udp 53, udp 80"),
        (["8000-8009/tcp", "8010/tcp"], {0}, "tcp 8000-8010"),
        (["1-65535/tcp"], {0}, "all tcp"),
        (["1-65535"], {1}, "any but all tcp, all udp"),
    ],
)
def test_words(given: list[str], chosen: set[int], words: str) -> None:
    rule = {"from": {"selector": "a"}, "to": {"selector": "a"}, "ports": given, "action": "allow"}
    assert ports_in_words(chosen, port_classes_of([policy(rule)])) == words


def test_words_of_two_classes_join_neighbours() -> None:
    classes = port_classes_of([naming((Ports(80, 80, Protocol.TCP),), (Ports(81, 90, Protocol.TCP),))])
    assert ports_in_words({0, 1}, classes) == "tcp 80-90"
