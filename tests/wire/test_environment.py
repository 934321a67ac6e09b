from __future__ import annotations

from msgspec import Raw

from corral.model.entities import Host, Network, Snapshot
from corral.types import Problem
from corral.wire.environment import Harvest, only_nested, same
from corral.wire.nested import by_uuid
from corral.wire.reading import Read

from .documents import container, sent, service


def test_what_is_equal_is_what_was_there() -> None:
    known = Host(uuid="h1", name="alpha")
    equal, other = Host(uuid="h1", name="alpha"), Host(uuid="h1", name="beta")
    assert same(known, equal) is known
    assert same(known, other) is other
    assert same(None, other) is other


def test_a_policy_is_compared_as_text() -> None:
    known, other = Network(uuid="n1", policy=[1]), Network(uuid="n1", policy=[True])
    assert same(known, other) is other
    assert same(known, Network(uuid="n1", policy=[1])) is known


def test_objects_without_a_name_are_told_by_their_place() -> None:
    harvest = Harvest(Snapshot())
    harvest.entity("host", 3, Read(None, faults="odd"))
    harvest.entity("host", 4, Read(None, where="host alpha", faults="odd"))
    harvest.entity("host", 5, Read(None))
    assert harvest.problems == [Problem("host [3]", "odd"), Problem("host alpha", "odd")]


def test_of_nested_copies_the_first_counts() -> None:
    parents = [
        service(containers=[container("c1"), container("c2", name="first")]),
        service(containers=[container("c2", name="second"), container("c3"), {"name": "no uuid"}]),
        service(containers=[container("c1")]),
    ]
    reads = [
        (Raw(sent(parent)), Read[object](None, nested=tuple(each.get("uuid", "") for each in parent["containers"][:2])))
        for parent in parents
    ]
    texts = [bytes(memoryview(text)) for text in only_nested(reads, "containers", by_uuid, {"c1"})]
    assert texts == [sent(container("c2", name="first")), sent(container("c3"))]
