"""Which containers claim which address, and the endpoints that follow: kept up to date change by change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from corral.model.derive import Surroundings, describe, stack_of
from corral.model.endpoint import Endpoint
from corral.model.entities import Container, ServiceKey, StackKey
from corral.model.index import Index
from corral.model.network import Choice
from corral.model.subnets import contains
from corral.types import Address, Problem


class AddressBook:
    """Follows the containers that it is given (a live mapping): tell it of each change, then `settle`.

    A container that shares another's network belongs to that one's address, through any number of steps. The
    container at the end of such a chain is the *owner* of the address; a chain that runs in a circle has none. Where
    a chain leads to a container that is not listed, the last one that is falls back on its own address: an address
    that no rule knows would slip through a denying one.
    """

    def __init__(
        self,
        containers: Mapping[str, Container],
        surroundings: Surroundings,
        named_by_port_rule: Callable[[str], bool],
    ) -> None:
        self.endpoints: dict[Address, Endpoint] = {}
        self.self_host = ""
        self._containers = containers
        self._surroundings = surroundings
        self._named_by_port_rule = named_by_port_rule
        self._choice = Choice()
        self._problems: dict[Address, tuple[Problem, ...]] = {}
        self._owners: Index[Address, str] = Index()
        self._sharers: Index[str, str] = Index()
        self._in_service: Index[ServiceKey, str] = Index()
        self._in_stack: Index[StackKey, str] = Index()
        self._linkers: Counter[str] = Counter()
        self._touched: set[Address] = set()

    def problems(self) -> Iterator[Problem]:
        """Conflicts, and addresses outside the managed subnets."""
        for problems in self._problems.values():
            yield from problems

    def endpoint_of(self, uuid: str) -> Address | None:
        """The address of the endpoint that a live container belongs to."""
        address = self._address(self._containers.get(uuid))
        endpoint = None if address is None else self.endpoints.get(address)
        return address if endpoint and uuid in endpoint.containers else None

    def change_container(self, uuid: str, old: Container | None, new: Container | None) -> None:
        """A container changed, appeared (no `old`) or went (no `new`)."""
        self._touch(self._address(old))
        self._owners.move(uuid, self._own_address(old), self._own_address(new))
        self._sharers.move(uuid, old.network_from or None if old else None, new.network_from or None if new else None)
        self._in_service.move(uuid, old.service if old else None, new.service if new else None)
        self._in_stack.move(uuid, stack_of(old) if old else None, stack_of(new) if new else None)
        if old is None or new is None:
            self._change_owners_among_sharers(uuid, listed=new is not None)
        self._touch(self._address(new))
        self._count_links(_live_links(old), _live_links(new))

    def touch_service(self, key: ServiceKey) -> None:
        """Derive the endpoints of a service's containers anew."""
        self.touch_containers(self._in_service.of(key))

    def touch_stack(self, key: StackKey) -> None:
        """Derive the endpoints of a stack's containers anew."""
        self.touch_containers(self._in_stack.of(key))

    def touch_containers(self, uuids: Iterable[str]) -> None:
        """Derive the endpoints that containers belong to anew."""
        for uuid in uuids:
            self._touch(self._address(self._containers.get(uuid)))

    def change_surroundings(self, choice: Choice, self_host: str) -> None:
        """Take over the managed networks and which host this is; every address is looked at again if they differ."""
        before = (self._choice.uuids, self._choice.subnets, self.self_host)
        self._choice, self.self_host = choice, self_host
        if before != (choice.uuids, choice.subnets, self_host):
            self._touched.update(self._owners, self.endpoints)

    def settle(self) -> dict[Address, Endpoint | None]:
        """Derive the touched endpoints; answers those that differ, in the order of their addresses."""
        differing: dict[Address, Endpoint | None] = {}
        for address in sorted(self._touched):
            problems: list[Problem] = []
            new = self._derive(address, problems)
            self._note_problems(address, problems)
            if new != self.endpoints.get(address):
                differing[address] = new
                if new is None:
                    del self.endpoints[address]
                else:
                    self.endpoints[address] = new
        self._touched.clear()
        return differing

    def _derive(self, address: Address, problems: list[Problem]) -> Endpoint | None:
        claims = [members for owner in self._owners.of(address) if (members := self._claim(owner))]
        if not claims:
            return None
        if not contains(self._choice.subnets, address):
            problems.extend(self._outside(address, claims))
            return None
        if len(claims) > 1:
            problems.append(self._conflict(address, claims))
            return None
        uuids = sorted(claims[0])
        linked = frozenset(uuid for uuid in uuids if uuid in self._linkers or self._named_by_port_rule(uuid))
        containers = [self._containers[uuid] for uuid in uuids]
        return describe(address, containers, self._surroundings, self_host=self.self_host, linked_containers=linked)

    def _claim(self, owner: str) -> list[str]:
        """The live containers that hold the address of `owner`: none unless it is on a managed network."""
        if self._containers[owner].network not in self._choice.uuids:
            return []
        # No container of a circle is reached from an owner: each shares the network of one other.
        family = [owner]
        for uuid in family:
            family.extend(self._sharers.of(uuid) & self._containers.keys())
        return [uuid for uuid in family if self._containers[uuid].live]

    def _address(self, container: Container | None) -> Address | None:
        """The address at the end of the chain that starts at `container`."""
        passed: set[str] = set()
        while container and (target := self._target(container)):
            if container.uuid in passed:
                return None
            passed.add(container.uuid)
            container = target
        return container.address if container else None

    def _target(self, container: Container) -> Container | None:
        """The listed container whose network it shares."""
        return self._containers.get(container.network_from) if container.network_from else None

    def _own_address(self, container: Container | None) -> Address | None:
        return None if container is None or self._target(container) else container.address

    def _change_owners_among_sharers(self, uuid: str, *, listed: bool) -> None:
        """A container that others point to came or went: these fall back on their own address while it is away."""
        for sharer in self._sharers.of(uuid) - {uuid}:
            address = self._containers[sharer].address
            self._owners.move(sharer, address if listed else None, None if listed else address)
            self._touch(address)

    def _touch(self, address: Address | None) -> None:
        if address is not None:
            self._touched.add(address)

    def _count_links(self, old: frozenset[str], new: frozenset[str]) -> None:
        if old == new:
            return
        for uuid in new - old:
            self._linkers[uuid] += 1
        for uuid in old - new:
            self._linkers[uuid] -= 1
            if not self._linkers[uuid]:
                del self._linkers[uuid]
        self.touch_containers(old ^ new)

    def _note_problems(self, address: Address, problems: list[Problem]) -> None:
        if problems:
            self._problems[address] = tuple(problems)
        else:
            self._problems.pop(address, None)

    def _conflict(self, address: Address, claims: list[list[str]]) -> Problem:
        names = " and ".join(sorted(self._title(claim[0]) for claim in claims))
        message = f"claimed by {names}, which share no network: it belongs to none of them until one alone is left"
        return Problem(f"address {address}", message)

    def _outside(self, address: Address, claims: list[list[str]]) -> Iterator[Problem]:
        subnets = ", ".join(map(str, self._choice.subnets))
        for claim in claims:
            message = f"its address {address} is on a managed network but outside of its subnets ({subnets})"
            yield Problem(f"container {self._title(claim[0])}", message)

    def _title(self, uuid: str) -> str:
        name = self._containers[uuid].name
        return f"{name} ({uuid})" if name else uuid


def _live_links(container: Container | None) -> frozenset[str]:
    return container.links if container and container.live else frozenset()
