"""An environment that never rests: containers, services, stacks, labels, links and policies, with ever-new names."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

from corral.sandbox.environment import MANAGED_SUBNET, NOTHING, Environment
from corral.sandbox.records import ContainerRecord, ServiceRecord, StackRecord
from corral.types import Address, Subnet

FIRST = Subnet.parse(MANAGED_SUBNET).first + 8 * 256  # the first blocks have the hosts' routers
ADDRESSES = 600
CONTAINERS = 300
SERVICES = 60
STACKS = 20

RULES: tuple[object, ...] = (
    {"within": "stack", "action": "allow"},
    {"within": "service", "action": "deny"},
    {"within": "linked", "action": "allow"},
    {"between": {"groupBy": "team"}, "action": "allow"},
    {"between": {"selector": "tier in (web, app)"}, "action": "deny"},
    {"from": {"selector": "tier=web"}, "to": {"selector": "tier=db"}, "ports": ["5432/tcp", "53"], "action": "allow"},
)
BAD_POLICY = ({"within": "planet", "action": "allow"},)
TIERS = ("web", "app", "db")


class Churn:
    """Makes one random change after the other; `changes` counts what the event stream would tell."""

    def __init__(self, rng: random.Random) -> None:
        self.environment = Environment(hosts=2)
        self.changes = 0
        self.rng = rng
        self._numbers = count(1)
        self._free = [str(Address(FIRST + number)) for number in range(ADDRESSES)]
        self.environment.listeners.append(self._note)
        for _ in range(STACKS):
            self._add_stack()
        for _ in range(SERVICES):
            self._add_service()
        for _ in range(CONTAINERS):
            self._start()
        self.environment.set_policy(list(RULES), "deny")
        self._verbs, self._weights = self._what_happens()

    def step(self) -> None:
        """One thing happens."""
        self.rng.choices(self._verbs, self._weights)[0]()

    def ensure_good_policy(self) -> None:
        """See that the policy is one that any agent accepts, one that starts just now as well."""
        if self.environment.network.policy == list(BAD_POLICY):
            self._set_policy()

    def _set_policy(self) -> None:
        rules = self.rng.sample(RULES, self.rng.randint(0, 4))
        self.environment.set_policy(rules, self.rng.choice(("deny", "deny", "deny", "allow")))

    def _what_happens(self) -> tuple[list[Callable[[], None]], list[float]]:
        weights: Mapping[Callable[[], None], float] = {
            self._start_or_remove: 50,
            self._hand_over: 10,
            self._change_state: 10,
            self._relabel: 10,
            self._link: 2,
            self._relabel_service: 1,
            self._replace_service: 1,
            self._replace_stack: 0.3,
            self._turn_system: 0.2,
            self._set_policy: 0.02,
            self._set_bad_policy: 0.01,
        }
        return list(weights), list(weights.values())

    def _note(self, _: object) -> None:
        self.changes += 1

    # Containers

    def _containers(self) -> list[ContainerRecord]:
        return [each for each in self.environment.records.containers.values() if not each.system and each.address]

    def _start_or_remove(self) -> None:
        containers = self._containers()
        if self.rng.random() * 2 * CONTAINERS >= len(containers):
            self._start()
        else:
            self._remove(self.rng.choice(containers))

    def _start(self, address: str | None = None) -> None:
        environment, rng = self.environment, self.rng
        service = rng.choice(self._services())
        if address is None:
            if not self._free:
                return
            address = self._free.pop(rng.randrange(len(self._free)))
        name = f"c{next(self._numbers)}"
        others = self._containers()
        links = {"other": rng.choice(others).name} if others and rng.random() < 0.1 else NOTHING
        environment.create_container(
            environment.records.path(service), host=rng.randrange(2), name=name, labels=self._labels(), links=links
        )
        environment.set_running(name, address)

    def _remove(self, container: ContainerRecord, *, address_is_free: bool = True) -> None:
        self.environment.remove_container(container.name)
        # Now and then two containers claim one address: it must not be handed out while one of them is left.
        if address_is_free and not any(each.address == container.address for each in self._containers()):
            self._free.append(str(container.address))

    def _hand_over(self) -> None:
        """The address goes to a new owner at once; sometimes before the old one has gone."""
        container = self.rng.choice(self._containers())
        if self.rng.random() < 0.8:
            self._remove(container, address_is_free=False)
            self._start(container.address)
        else:
            self._start(container.address)
            self._remove(container)

    def _change_state(self) -> None:
        state = self.rng.choice(("running", "running", "stopped", "stopping", "restarting", "strange"))
        self.environment.set_state(self.rng.choice(self._containers()).name, state)

    def _relabel(self) -> None:
        self.environment.set_container_labels(self.rng.choice(self._containers()).name, self._labels())

    def _labels(self) -> dict[str, str]:
        """Teams are ever-new, and so are the sets named by them; some of them need a digest in their names."""
        number = next(self._numbers)
        team = self.rng.choice((f"team{number}", f"Équipe {number} \"&'", f"team{number % 7}"))
        return {"tier": self.rng.choice(TIERS), "team": team, f"key{number}": str(number)}

    # Services and stacks

    def _services(self) -> list[ServiceRecord]:
        return [each for each in self.environment.records.services.values() if not each.system]

    def _stacks(self) -> list[StackRecord]:
        return [each for each in self.environment.records.stacks.values() if each.name.startswith("stack")]

    def _path(self) -> str:
        return self.environment.records.path(self.rng.choice(self._services()))

    def _link(self) -> None:
        self.environment.set_links(self._path(), {self._path(): "a", self._path(): "b"})

    def _relabel_service(self) -> None:
        self.environment.set_service_labels(self._path(), self._labels())

    def _add_stack(self) -> None:
        self.environment.add_stack(f"stack{next(self._numbers)}")

    def _add_service(self) -> None:
        stack = self.rng.choice(self._stacks()).name
        self.environment.add_service(f"{stack}/service{next(self._numbers)}", labels=self._labels())

    def _replace_service(self) -> None:
        self._end_service(self.rng.choice(self._services()))
        self._add_service()

    def _replace_stack(self) -> None:
        stack = self.rng.choice(self._stacks())
        services = [each for each in self._services() if each.stack == stack.id]
        for service in services:
            self._end_service(service)
        self.environment._update(stack, state="removed")
        del self.environment.records.stacks[stack.id]
        self._add_stack()
        for _ in services:
            self._add_service()

    def _end_service(self, service: ServiceRecord) -> None:
        for container in self._containers():
            if container.service == service.id:
                self._remove(container)
        self.environment._put(replace(service, state="removed"))
        del self.environment.records.services[service.id]

    def _turn_system(self) -> None:
        stack = self.rng.choice(self._stacks())
        self.environment.set_system(stack.name, system=not stack.system)

    def _set_bad_policy(self) -> None:
        self.environment.set_policy(list(BAD_POLICY), "deny")
