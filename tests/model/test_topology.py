"""The topology as a value."""

from __future__ import annotations

from corral.model.change import ManagedNetwork
from corral.model.topology import Topology
from corral.types import Subnet


def test_an_environment_without_anything_enforces() -> None:
    network = ManagedNetwork(uuid="n", name="ipsec", bridge="docker0", subnets=(Subnet.parse("10.42.0.0/16"),))
    topology = Topology(network=network)
    assert (topology.mode, topology.suspended, topology.unknown_allowed) == ("enforce", False, False)
    assert not topology.endpoints
