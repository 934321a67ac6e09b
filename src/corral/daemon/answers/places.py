"""What happens on the servers' hosts: who enforces a verdict there, and which ports lead around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from corral.daemon.answers.topology import LoadedTopology
from corral.documents.explain import EnforcementPlace, PublishedNote
from corral.model.entities import Container
from corral.model.published import PublishedPort, published_ports
from corral.types import Address, Protocol


class Programmed(NamedTuple):
    """Whether the kernel holds what the policy says of an endpoint; `since` is RFC 3339, `why` says why it does not."""

    programmed: bool
    since: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What an agent knows beyond the topology: of its own endpoints, and of the agents of hosts by the hosts' uuids."""

    programmed: Callable[[Address], Programmed | None] = lambda _: None
    agents: Mapping[str, str] = field(default_factory=dict)


class Places:
    """Tells of the hosts of servers."""

    def __init__(self, loaded: LoadedTopology, knowledge: Knowledge) -> None:
        self._loaded = loaded
        self._knowledge = knowledge

    def enforcing(self, servers: Iterable[Address]) -> list[EnforcementPlace]:
        """The hosts that enforce a verdict about flows to these servers."""
        by_host: dict[str, list[Address]] = {}
        for address in servers:
            by_host.setdefault(self._host(address), []).append(address)
        return [self._place(uuid, by_host[uuid]) for uuid in sorted(by_host)]

    def _host(self, address: Address) -> str:
        endpoint, containers = self._loaded.endpoints.get(address), self._loaded.containers
        uuids = endpoint.containers if endpoint else ()
        return next((containers[uuid].host for uuid in uuids if uuid in containers), "")

    def _place(self, uuid: str, servers: Sequence[Address]) -> EnforcementPlace:
        here = bool(uuid) and uuid == self._loaded.topology.self_host
        kernel = self._programmed(servers) if here else None
        host, agent = self._host_name(uuid) if uuid else None, self._knowledge.agents.get(uuid)
        if not uuid:
            sentence = "on every host with an agent that the packets pass: the server is no known endpoint"
        elif here:
            sentence = f"on {host}, {self._here(kernel)}"
        else:
            told = f", whose agent is {agent}" if agent else ""
            sentence = f"on {host}{told}; ask the agent there, with the same command on that host"
        return {
            "host": host,
            "uuid": uuid or None,
            "here": here,
            "servers": len(servers),
            "programmed": kernel.programmed if kernel else None,
            "since": kernel.since if kernel else None,
            "agent": agent,
            "sentence": sentence,
        }

    def _here(self, kernel: Programmed | None) -> str:
        if self._loaded.topology.mode == "off":
            return "this host; but the mode is off, and nothing is enforced"
        if kernel is None:
            return "the host that this was written on"
        if not kernel.programmed:
            return f"this host; not in the kernel yet: {kernel.why}"
        return f"this host; in the kernel since {kernel.since}"

    def _programmed(self, servers: Sequence[Address]) -> Programmed | None:
        """Of all of them: since when the last of them is."""
        found = [known for address in servers if (known := self._knowledge.programmed(address)) is not None]
        if len(found) < len(servers):
            return None
        return next((each for each in found if not each.programmed), None) or max(found, key=_since)

    def _host_name(self, uuid: str) -> str:
        host = self._loaded.topology.hosts.get(uuid)
        return (host.name if host else "") or uuid

    def published(
        self, servers: Iterable[Address], asked: Sequence[tuple[Protocol, int | None]]
    ) -> Iterator[PublishedNote]:
        """The published ports of these servers, of those asked for; all of them if none is."""
        endpoints, containers = self._loaded.endpoints, self._loaded.containers
        numbers = {(protocol, number) for protocol, number in asked if number is not None}
        for address in servers:
            endpoint = endpoints.get(address)
            for uuid in endpoint.containers if endpoint and not endpoint.system else ():
                container = containers.get(uuid)
                for port in published_ports(container.ports) if container else ():
                    if container and (not numbers or (port.protocol, port.private) in numbers):
                        yield self._published(container, port)

    def _published(self, container: Container, port: PublishedPort) -> PublishedNote:
        host = self._host_name(container.host)
        public = f"{port.address}:{port.public}" if port.address else str(port.public)
        return {
            "container": container.name,
            "host": host,
            "address": port.address,
            "public": port.public,
            "private": port.private,
            "protocol": port.protocol.value,  # type: ignore[typeddict-item]  # ICMP has no ports to publish
            "sentence": f"port {port} of {container.name} is published as {public} on {host}: traffic through it "
            "arrives with a host's or an outside address and is not judged by the policy",
        }


def _since(programmed: Programmed) -> str:
    return programmed.since or ""
