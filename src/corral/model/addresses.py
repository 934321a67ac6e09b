"""Which containers claim which address, and the endpoints that follow: kept up to date change by change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from corral.model.derive import NONE, Surroundings, describe, stack_of
from corral.model.endpoint import Endpoint
from corral.model.entities import DEAD_STATES, Container, ServiceKey, StackKey
from corral.model.index import Index
from corral.model.network import Choice
from corral.model.subnets import Ranges
from corral.types import Address, Problem

# Of the managed subnets, in the complaint about an address outside: each host may have one, each container complain.
SUBNETS_NAMED = 5


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
        self._managed = Ranges(())
        self._problems: dict[Address, tuple[Problem, ...]] = {}
        self._owners: Index[Address, str] = Index()
        self._sharers: Index[str, str] = Index()
        self._owner_of: dict[str, str] = {}
        self._in_service: Index[ServiceKey, str] = Index()
        self._in_stack: Index[StackKey, str] = Index()
        self._linkers: Counter[str] = Counter()
        self._touched: set[Address] = set()
        self._moved: set[str] = set()
        self._problems_changed = False

    def problems(self) -> Iterator[Problem]:
        """Conflicts, and addresses outside the managed subnets."""
        for problems in self._problems.values():
            yield from problems

    def endpoint_of(self, uuid: str) -> Address | None:
        """The address of the endpoint that a live container belongs to."""
        address = self._address(uuid, {}) if uuid in self._containers else None
        endpoint = None if address is None else self.endpoints.get(address)
        return address if endpoint and uuid in endpoint.containers else None

    def change_container(self, uuid: str, old: Container | None, new: Container | None) -> None:
        """A container changed, appeared (no `old`) or went (no `new`)."""
        if old is not None:
            self._touch_former(uuid, old)
        if old is not None and new is not None:
            self._move(uuid, old, new)
        elif new is not None:
            self._enter(uuid, new)
        elif old is not None:
            self._leave(uuid, old)
        if (old is None or new is None) and uuid in self._sharers:
            self._change_owners_among_sharers(uuid, listed=new is not None)
        if new is not None:
            self._touch_present(uuid, new)
        if (old is not None and old.links) or (new is not None and new.links):
            self._count_links(_live_links(old), _live_links(new))

    def _enter(self, uuid: str, new: Container) -> None:
        owned, stack = self._own_address(new), stack_of(new)
        if owned is not None:
            self._owners.add(owned, uuid)
        if new.network_from:
            self._sharers.add(new.network_from, uuid)
        if new.service is not None:
            self._in_service.add(new.service, uuid)
        if stack is not None:
            self._in_stack.add(stack, uuid)

    def _leave(self, uuid: str, old: Container) -> None:
        owned, stack = self._own_address(old), stack_of(old)
        if owned is not None:
            self._owners.discard(owned, uuid)
        if old.network_from:
            self._sharers.discard(old.network_from, uuid)
        self._owner_of.pop(uuid, None)
        if old.service is not None:
            self._in_service.discard(old.service, uuid)
        if stack is not None:
            self._in_stack.discard(stack, uuid)

    def _move(self, uuid: str, old: Container, new: Container) -> None:
        self._owners.move(uuid, self._own_address(old), self._own_address(new))
        self._sharers.move(uuid, old.network_from or None, new.network_from or None)
        self._in_service.move(uuid, old.service, new.service)
        self._in_stack.move(uuid, stack_of(old), stack_of(new))

    def touch_service(self, key: ServiceKey) -> None:
        """Derive the endpoints of a service's containers anew."""
        self._surroundings.forget()
        self.touch_containers(self._in_service.of(key))

    def touch_stack(self, key: StackKey) -> None:
        """Derive the endpoints of a stack's containers anew."""
        self._surroundings.forget()
        self.touch_containers(self._in_stack.of(key))

    def touch_containers(self, uuids: Iterable[str]) -> None:
        """Derive the endpoints that containers belong to anew."""
        for uuid in uuids:
            container = self._containers.get(uuid)
            if container is not None:
                self._touch_present(uuid, container)

    def change_surroundings(self, choice: Choice, self_host: str) -> None:
        """Take over the managed networks and which host this is; every address is looked at again if they differ."""
        before = (self._choice.uuids, self._choice.subnets, self.self_host)
        self._choice, self.self_host = choice, self_host
        if before != (choice.uuids, choice.subnets, self_host):
            self._managed = Ranges(choice.subnets)
            self._touched.update(self._owners, self.endpoints)

    def settle(self) -> dict[Address, Endpoint | None]:
        """Derive the touched endpoints; answers those that differ, in the order of their addresses."""
        self._touch_moved()
        differing: dict[Address, Endpoint | None] = {}
        for address in sorted(self._touched):
            old, new = self.endpoints.get(address), self._derive(address)
            if new is None:
                if old is not None:
                    differing[address] = None
                    del self.endpoints[address]
            elif old is None or new != old:
                differing[address] = self.endpoints[address] = new
        self._touched.clear()
        return differing

    def settle_problems(self) -> bool:
        """Whether `problems` may differ from what they were at the last call."""
        changed, self._problems_changed = self._problems_changed, False
        return changed

    def _derive(self, address: Address) -> Endpoint | None:
        claims = [members for owner in self._owners.of(address) if (members := self._claim(owner))]
        if len(claims) != 1 or address not in self._managed:
            self._note_problems(address, self._complaints(address, claims))
            return None
        if address in self._problems:
            self._note_problems(address, ())
        uuids = claims[0]
        if len(uuids) > 1:
            uuids.sort()
        linked = [uuid for uuid in uuids if uuid in self._linkers or self._named_by_port_rule(uuid)]
        return describe(
            address,
            [self._containers[uuid] for uuid in uuids],
            self._surroundings,
            self_host=self.self_host,
            linked_containers=frozenset(linked) if linked else NONE,
        )

    def _complaints(self, address: Address, claims: list[list[str]]) -> tuple[Problem, ...]:
        """What is wrong with an address that is no endpoint: nothing, if nobody claims it."""
        if not claims:
            return ()
        if address not in self._managed:
            return tuple(self._outside(address, claims))
        return (self._conflict(address, claims),)

    def _claim(self, owner: str) -> list[str]:
        """The live containers that hold the address of `owner`: none unless it is on a managed network."""
        container = self._containers[owner]
        if container.network not in self._choice.uuids:
            return []
        if owner not in self._sharers:
            return [] if container.state in DEAD_STATES else [owner]
        # No container of a circle is reached from an owner: each shares the network of one other.
        family = [owner]
        for uuid in family:
            family.extend(self._sharers.of(uuid) & self._containers.keys())
        self._owner_of.update(dict.fromkeys(family[1:], owner))
        return [uuid for uuid in family if self._containers[uuid].live]

    def _address(self, uuid: str, known: dict[str, Address | None]) -> Address | None:
        """The address at the end of the chain that starts at a listed container. Fills `known` for all of the chain.

        Chains are as long as users make them: with the same `known`, one of their steps is made only once.
        """
        passed: list[str] = []
        following: str | None = uuid
        address: Address | None = None
        while following is not None:
            if following in known:
                address = known[following]
                break
            known[following] = None  # what comes back to it is a circle, which has no address
            passed.append(following)
            container = self._containers[following]
            address = container.address
            following = container.network_from if self._target(container) else None
        known.update(dict.fromkeys(passed, address))
        return address

    def _target(self, container: Container) -> Container | None:
        """The listed container whose network it shares."""
        return self._containers.get(container.network_from) if container.network_from else None

    def _own_address(self, container: Container) -> Address | None:
        return None if container.network_from and self._target(container) else container.address

    def _change_owners_among_sharers(self, uuid: str, *, listed: bool) -> None:
        """A container that others point to came or went: these fall back on their own address while it is away."""
        for sharer in self._sharers.of(uuid) - {uuid}:
            address = self._containers[sharer].address
            self._owners.move(sharer, address if listed else None, None if listed else address)
            self._touch(address)

    def _touch(self, address: Address | None) -> None:
        if address is not None:
            self._touched.add(address)

    def _touch_former(self, uuid: str, old: Container) -> None:
        """The address that a container belonged to at the last `settle`. If its owner changed too, that one touched
        what it owned itself.
        """
        self._touch(old.address)
        owner = self._containers.get(self._owner_of.get(uuid, "")) if old.network_from else None
        if owner is not None:
            self._touch(owner.address)

    def _touch_present(self, uuid: str, container: Container) -> None:
        """The address that a container belongs to: once all changes are known, where it hangs on those of others."""
        if container.network_from:
            self._moved.add(uuid)
        else:
            self._touch(container.address)

    def _touch_moved(self) -> None:
        known: dict[str, Address | None] = {}
        for uuid in self._moved:
            if uuid in self._containers:
                self._touch(self._address(uuid, known))
        self._moved.clear()

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

    def _note_problems(self, address: Address, problems: tuple[Problem, ...]) -> None:
        if problems:
            self._problems[address] = problems
            self._problems_changed = True
        elif address in self._problems:
            del self._problems[address]
            self._problems_changed = True

    def _conflict(self, address: Address, claims: list[list[str]]) -> Problem:
        names = " and ".join(sorted(self._title(claim[0]) for claim in claims))
        message = f"claimed by {names}, which share no network: it belongs to none of them until one alone is left"
        return Problem(f"address {address}", message)

    def _outside(self, address: Address, claims: list[list[str]]) -> Iterator[Problem]:
        named = [str(subnet) for subnet in self._choice.subnets[:SUBNETS_NAMED]]
        more = len(self._choice.subnets) - len(named)
        subnets = ", ".join([*named, f"{more} more"] if more else named)
        for claim in claims:
            message = f"its address {address} is on a managed network but outside of its subnets ({subnets})"
            yield Problem(f"container {self._title(claim[0])}", message)

    def _title(self, uuid: str) -> str:
        name = self._containers[uuid].name
        return f"{name} ({uuid})" if name else uuid


def _live_links(container: Container | None) -> frozenset[str]:
    return container.links if container and container.live else NONE
