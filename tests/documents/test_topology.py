"""The topology has the documented shape."""

from __future__ import annotations

from hypothesis import given, settings

from corral.daemon.answers.topology import topology_document, topology_of
from corral.documents.topology import TopologyDocument

from ..daemon.answers.test_topology import AT, POLICIES, loaded_of
from ..daemon.running import desk_of, small_environment
from ..policy.strategies import EXAMPLES, Container, worlds
from .checking import check


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds, POLICIES)
def test_any_world(world: dict[str, Container], policy: object) -> None:
    check(TopologyDocument, topology_document(loaded_of(world, policy, "deny"), AT))


def test_an_agents() -> None:
    environment = small_environment()
    environment.set_running("front-web-1", environment.container("front-db-1").address)  # a conflict: a problem
    document = topology_document(topology_of(desk_of(environment), "enforce"), AT)
    check(TopologyDocument, document)
    assert document["problems"]
