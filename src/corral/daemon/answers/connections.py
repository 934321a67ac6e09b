"""What connection tracking says, in the environment's words and beside the policy's verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

from corral.config import Settings
from corral.daemon.desk import Desk
from corral.daemon.naming import flow_end
from corral.dataplane.flows.conntrack import Tracked, TrackedFlow, dump_flows
from corral.documents.connections import Connection, Connections
from corral.errors import UnreachableError
from corral.model.entities import Container
from corral.policy.digest import policy_digest
from corral.policy.verdict import Judgement, Scene, judge
from corral.slices import Slices
from corral.types import Action, Address, Flow, Protocol

# More than people read, and less than would make the answer slow.
MOST_SHOWN = 5_000

_PROTOCOLS = {1: Protocol.ICMP, 6: Protocol.TCP, 17: Protocol.UDP}
Difference = Literal["works, would be denied", "allowed, no answer"]


class _Kind(NamedTuple):
    """What connections of one entry have in common."""

    client: Address
    server: Address
    protocol: int
    port: int | None
    state: str
    answered: bool


class ConnectionReport:
    """Implements `corral.web.connections.ConnectionsView`. One question at a time: a dump makes copies."""

    def __init__(self, settings: Settings, desk: Desk) -> None:
        self._settings = settings
        self._desk = desk
        self._asking = asyncio.Lock()

    async def connections(self, *, differing: bool) -> Connections:
        """Flows within the managed network to this host's endpoints; others have their turns meanwhile.

        Raises UnreachableError while nothing is known yet, DataplaneError when the kernel can not be asked.
        """
        async with self._asking:
            scene = self._desk.scene()
            if scene is None:
                raise UnreachableError("nothing is known yet: no picture of the environment, or no good policy")
            tracked = await dump_flows(lambda client, server: _concerns(scene, client, server))
            found, truncated = await _gathered(tracked, scene, self._desk.inventory.containers, differing=differing)
        inventory = self._desk.inventory
        host = inventory.hosts.get(inventory.self_host)
        return {
            "host": (host and host.name) or inventory.self_host,
            "mode": self._settings.mode.value,
            "policy": policy_digest(scene.policy),
            "entries": tracked.entries,
            "truncated": truncated,
            "connections": found,
        }


def _concerns(scene: Scene, client: int, server: int) -> bool:
    endpoint = scene.endpoints.get(cast("Address", server))
    return endpoint is not None and endpoint.local and any(client in subnet for subnet in scene.subnets)


async def _gathered(
    tracked: Tracked, scene: Scene, containers: Mapping[str, Container], *, differing: bool
) -> tuple[list[Connection], bool]:
    """The entries with the most connections, and whether there are more."""
    slices = Slices()
    kinds: dict[_Kind, list[TrackedFlow]] = {}
    for flow in tracked.flows:
        kind = _Kind(flow.client, flow.server, flow.protocol, flow.port, flow.state, flow.answered)
        kinds.setdefault(kind, []).append(flow)
        await slices.rest()
    found: list[Connection] = []
    for kind, flows in sorted(kinds.items(), key=lambda item: -len(item[1])):
        await slices.rest()
        judgement = judge(scene, _judged(kind))
        difference = _difference(kind, judgement)
        if differing and not difference:
            continue
        if len(found) == MOST_SHOWN:
            return found, True
        found.append(_connection(kind, flows, judgement, difference, scene, containers))
    return found, False


def _judged(kind: _Kind) -> Flow:
    """What has ports that no rule can name is judged like ICMP."""
    protocol = _PROTOCOLS.get(kind.protocol, Protocol.ICMP)
    return Flow(kind.client, kind.server, protocol, None if protocol is Protocol.ICMP else kind.port)


def _difference(kind: _Kind, judgement: Judgement) -> Difference | None:
    if kind.answered:
        return "works, would be denied" if judgement.action is Action.DENY else None
    return "allowed, no answer" if judgement.action is Action.ALLOW else None


def _connection(
    kind: _Kind,
    flows: Sequence[TrackedFlow],
    judgement: Judgement,
    difference: Difference | None,
    scene: Scene,
    containers: Mapping[str, Container],
) -> Connection:
    protocol = _PROTOCOLS.get(kind.protocol)
    return {
        "client": flow_end(kind.client, scene.endpoints, containers),
        "server": flow_end(kind.server, scene.endpoints, containers),
        "protocol": protocol.value if protocol else str(kind.protocol),
        "port": kind.port,
        "state": kind.state,
        "answered": kind.answered,
        "open": flows[0].open,
        "count": len(flows),
        "client_ports": sorted(flow.client_port for flow in flows if flow.client_port is not None),
        "verdict": judgement.action.value if judgement.action else "not judged",
        "decided_by": judgement.decided_by.value,
        "rule": judgement.rule,
        "sentence": judgement.sentence,
        "differs": difference,
    }
