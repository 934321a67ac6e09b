"""An environment of any size, as the metadata service and the API show it, rendered by the sandbox.

Stacks have five services each; containers are dealt out to the services in turn, the first `local` of them run on
our host. The last `spare` containers exist in no document: events bring them.
"""

from __future__ import annotations

import gc
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypedDict

import orjson

from corral.sandbox.documents import render_root
from corral.sandbox.environment import MANAGED_SUBNET
from corral.sandbox.records import ContainerRecord, HostRecord, NetworkRecord, Records, ServiceRecord, StackRecord
from corral.sandbox.resources import render_resource, resource_type
from corral.sandbox.topology import BRIDGE
from corral.types import Address, Subnet

ROLES = ("web", "app", "db", "cache", "queue")
FIRST = Subnet.parse(MANAGED_SUBNET).first + 1
MOST = 65_534  # every address of the managed /16
POLICY = (
    {"within": "stack", "action": "allow"},
    {"from": {"selector": "tier=web"}, "to": {"selector": "tier=db"}, "ports": ["5432/tcp"], "action": "allow"},
)
EDITED_POLICY = (*POLICY, {"between": {"groupBy": "team"}, "action": "allow"})

_SEED = uuid.UUID(int=42)
_SECTIONS = ("containers", "services", "stacks")


@dataclass(frozen=True)
class Size:
    """`spare` containers are among `containers`, and so are `local` ones."""

    containers: int
    hosts: int
    services: int
    local: int
    spare: int


def size_of(containers: int, *, spare: int | None = None) -> Size:
    """The proportions of the largest: 65,534 containers on 1,000 hosts, in 5,000 services, 100 of them local."""
    return Size(
        containers=containers,
        hosts=max(4, containers * 1000 // MOST),
        services=max(10, containers * 1000 // MOST * len(ROLES)),
        local=min(100, containers // 10),
        spare=min(64, containers // 10) if spare is None else spare,
    )


@cache
def world_of(size: Size) -> World:
    """Worlds are costly and never change. Their objects are kept from the collector: they are not the agent's."""
    world = World(size)
    gc.collect()
    gc.freeze()
    return world


class World:
    """Records by id, and their renderings."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.host = _host(0)
        self._clock = itertools.count(1_500_000_000_000)
        self.records = Records("Default", str(_SEED))
        cni = {"name": "rancher-cni-network", "bridge": BRIDGE, "bridgeSubnet": MANAGED_SUBNET}
        self.network = NetworkRecord(
            **_identity("n", 1),
            name="ipsec",
            kind="cniNetwork",
            cni=cni,
            policy=list(POLICY),
            default_policy_action="deny",
        )
        self.records.put(self.network)
        for number in range(size.hosts):
            self.records.put(_host(number))
        for number in range(size.services):
            if number % len(ROLES) == 0:
                self.records.put(_stack(number // len(ROLES)))
            self.records.put(_service(number))
        for number in range(size.containers - size.spare):
            self.records.put(self._container(number))

    def document(self, *, extra: int = 0) -> bytes:
        """The metadata service's root document; with the first `extra` spare containers in it."""
        blocks = self._blocks()
        for number in range(extra):
            container = self.spare(number)
            blocks[str(container.stack)].put(container)
        return _assembled(self.records, self.host, blocks)

    def resources(self) -> Iterator[tuple[str, list[Any]]]:
        """What the API lists, but for the containers."""
        for name in ("hosts", "networks", "stacks"):
            records = getattr(self.records, name).values()
            empty = Records(self.records.name, self.records.uuid)
            yield name, [render_resource(empty, record) for record in records]
        blocks = self._blocks().values()
        yield "services", [render_resource(block, each) for block in blocks for each in block.services.values()]

    def spare(self, number: int, *, local: bool = False, service: int | None = None) -> ContainerRecord:
        """A container that no document holds; by default of a service that has a container on our host."""
        own = number % min(self.size.local, self.size.services) if service is None else service
        container = self._container(self.size.containers - self.size.spare + number, service=own)
        return replace(container, host=self.host.id) if local else container

    def event(self, record: ContainerRecord | NetworkRecord) -> bytes:
        """What the event stream sends when a record has changed."""
        message = {
            "name": "resource.change",
            "id": str(_SEED),
            "time": next(self._clock),
            "resourceType": resource_type(record),
            "resourceId": record.id,
            "data": {"resource": render_resource(self.records, record)},
        }
        return orjson.dumps(message)

    def coming_and_going(self, record: ContainerRecord) -> tuple[bytes, bytes]:
        """The events that a container runs, and that it has been removed."""
        return self.event(record), self.event(replace(record, state="removed"))

    def _container(self, number: int, *, service: int | None = None) -> ContainerRecord:
        of = number % self.size.services if service is None else service
        stack, role = divmod(of, len(ROLES))
        local = number < self.size.local
        identity = _identity("i", number)
        name = f"stack{stack}-{ROLES[role]}-{number}"
        labels = {
            "io.rancher.container.uuid": identity["uuid"],
            "io.rancher.container.name": name,
            "io.rancher.stack.name": f"stack{stack}",
            "io.rancher.stack_service.name": f"stack{stack}/{ROLES[role]}",
            "io.rancher.service.launch.config": "io.rancher.service.primary.launch.config",
            **_labels(of),
        }
        return ContainerRecord(
            **identity,
            name=name,
            host=f"1h{0 if local else 1 + number % (self.size.hosts - 1)}",
            network=self.network.id,
            state="running",
            address=str(Address(FIRST + number)),
            stack=f"1st{stack}",
            service=f"1s{of}",
            labels=labels,
            create_index=number,
        )

    def _blocks(self) -> dict[str, Records]:
        """One small environment for each stack: rendering a service looks at every container that there is."""
        whole = self.records
        blocks = {
            stack.id: Records(
                whole.name, whole.uuid, hosts=whole.hosts, stacks={stack.id: stack}, networks=whole.networks
            )
            for stack in whole.stacks.values()
        }
        for service in whole.services.values():
            blocks[service.stack].put(service)
        for container in whole.containers.values():
            blocks[str(container.stack)].put(container)
        return blocks


def _assembled(whole: Records, host: HostRecord, blocks: dict[str, Records]) -> bytes:
    """One document from those of the blocks, never held as objects in one piece: it can be 200 MB."""
    frame = render_root(Records(whole.name, whole.uuid, hosts=whole.hosts, networks=whole.networks), host)
    parts: dict[str, list[bytes]] = {name: [] for name in _SECTIONS}
    for block in blocks.values():
        hosts = {each.host: whole.hosts[each.host] for each in block.containers.values()}
        document = render_root(replace(block, hosts=hosts), host)
        for name in _SECTIONS:
            if document[name]:
                parts[name].append(orjson.dumps(document[name])[1:-1])
    rest = orjson.dumps({key: value for key, value in frame.items() if key not in _SECTIONS})
    sections = (b'"%s":[%s],' % (name.encode(), b",".join(chunks)) for name, chunks in parts.items())
    return b"".join([b"{", *sections, rest[1:]])


class _Identity(TypedDict):
    id: str
    uuid: str


def _identity(prefix: str, number: int) -> _Identity:
    resource_id = f"1{prefix}{number}"
    return {"id": resource_id, "uuid": str(uuid.uuid5(_SEED, resource_id))}


def _host(number: int) -> HostRecord:
    agent_ip = str(Address(Address.parse("192.0.0.1") + number))
    return HostRecord(**_identity("h", number), number=number, name=f"host{number}", agent_ip=agent_ip)


def _stack(number: int) -> StackRecord:
    return StackRecord(**_identity("st", number), name=f"stack{number}")


def _service(number: int) -> ServiceRecord:
    stack, role = divmod(number, len(ROLES))
    return ServiceRecord(**_identity("s", number), name=ROLES[role], stack=f"1st{stack}", labels=_labels(number))


def _labels(service: int) -> dict[str, str]:
    stack, role = divmod(service, len(ROLES))
    return {"tier": ROLES[role], "team": f"team{stack % 10}"}
