"""One host with a bridge, a container at every address of the random environments, and the real kernel between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from corral.dataplane.bridge import enable_bridge_filtering
from corral.dataplane.kernel import KernelDataplane
from corral.model.endpoint import Endpoint
from corral.nft.tracker import Tracker
from corral.policy.compiler import Compiler
from corral.policy.enforcement import ENFORCE, Enforcement
from corral.policy.rules import Policy
from corral.policy.verdict import Scene
from corral.sandbox.listeners import Listeners
from corral.sandbox.namespace import Namespace
from corral.sandbox.probes import Outcome, probe_all
from corral.sandbox.topology import Topology
from corral.types import Address, Flow

from ..policy.strategies import ADDRESSES, BRIDGE, SUBNETS, UNKNOWN

CONTAINERS = (*ADDRESSES, UNKNOWN)
TCP_PORTS = (80, 8040)
UDP_PORTS = (53, 80)
# Answers take well under a millisecond; what is to pass gets the time of a busy machine, what is not need not wait.
PATIENCE, IMPATIENCE = 3.0, 0.12


class Rig:
    """A compiler, a tracker and the kernel of the host's namespace, which the whole event loop runs in."""

    def __init__(self, topology: Topology, dataplane: KernelDataplane) -> None:
        self.dataplane = dataplane
        self.tracker = Tracker()
        self.clients: Mapping[str, Namespace] = topology.containers
        self.listeners = {
            str(address): Listeners(self.clients[str(address)], tcp=TCP_PORTS, udp=UDP_PORTS) for address in CONTAINERS
        }
        self._compiler = Compiler(self.tracker, unknown_allowed=False)
        self._compiler.set_boundary(SUBNETS, BRIDGE)
        self._endpoints: Mapping[Address, Endpoint] = {}

    async def enforce(self, scene: Scene, enforcement: Enforcement = ENFORCE) -> None:
        """Move the kernel from wherever it is to this scene, in one transaction, then collect the garbage."""
        gone = {address: None for address in self._endpoints if address not in scene.endpoints}
        self._compiler.update(gone | dict(scene.endpoints))
        self._compiler.set_policy(scene.policy)
        self._compiler.set_enforcement(enforcement)
        self._endpoints = scene.endpoints
        for transaction in (self.tracker.pending(), self.tracker.garbage()):
            if transaction:
                await self.dataplane.commit(transaction)
                self.tracker.committed(transaction)

    async def outcomes(self, passing: Iterable[Flow], dropped: Iterable[Flow]) -> dict[Flow, Outcome]:
        """Probe what should pass and what should not, side by side."""
        answered, silent = await asyncio.gather(
            probe_all(self.clients, passing, patience=PATIENCE), probe_all(self.clients, dropped, patience=IMPATIENCE)
        )
        return answered | silent

    async def generation(self) -> int:
        """How many commits there were."""
        dump = await self.dataplane.dump()
        return dump.generation if dump else 0

    def close(self) -> None:
        for listeners in self.listeners.values():
            listeners.close()


def scene_of(policy: Policy, endpoints: Mapping[Address, Endpoint]) -> Scene:
    return Scene(policy, SUBNETS, endpoints, unknown_allowed=False)


@asynccontextmanager
async def rig_on(topology: Topology) -> AsyncIterator[Rig]:
    """A rig in the namespace that the calling loop runs in: the topology's first host."""
    async with KernelDataplane() as dataplane:
        await enable_bridge_filtering(BRIDGE, ipv6=True)
        rig = Rig(topology, dataplane)
        try:
            yield rig
        finally:
            rig.close()
            await dataplane.delete_table()
