"""Resolving again only what a change can have an effect on."""

from __future__ import annotations

from dataclasses import dataclass, field

from corral.model.entities import Environment, PortRule, Service, ServiceKey, Stack, StackKey
from corral.model.linkgraph import LinkChange, LinkGraph
from tests.model.builders import alias, balancer, service, service_key, stack


@dataclass
class World:
    services: dict[ServiceKey, Service] = field(default_factory=dict)
    stacks: dict[StackKey, Stack] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.graph = LinkGraph(self.services, self.stacks)

    def put(self, *new: Service) -> LinkChange:
        for one in new:
            old = self.services.get(one.key)
            self.services[one.key] = one
            self.graph.change_service(one.key, old, one)
        return self.graph.settle()

    def drop(self, key: str) -> LinkChange:
        old = self.services.pop(service_key(key))
        self.graph.change_service(old.key, old, None)
        return self.graph.settle()

    def put_stack(self, new: Stack) -> LinkChange:
        self.stacks[new.key] = new
        self.graph.change_stack(new.key)
        return self.graph.settle()

    def links(self, key: str) -> set[str]:
        return set(map(str, self.graph.of(service_key(key)).services))


def changed(change: LinkChange) -> set[str]:
    return set(map(str, change.groups))


def test_only_groups_whose_links_differ_are_reported() -> None:
    world = World()
    assert changed(world.put(service("s/web", links=["db"]), service("s/db"))) == {"s/web"}
    assert world.links("s/web") == {"s/db"}
    assert changed(world.put(service("s/db", links=["disk"]))) == {"s/db"}
    assert changed(world.put(service("s/web", links=["s/db"]))) == set()
    assert changed(world.put(service("s/web"))) == {"s/web"}
    assert world.links("s/web") == set()


def test_an_alias_passes_its_changes_on() -> None:
    world = World()
    world.put(service("s/web", links=["one"]), alias("s/one", "two"), alias("s/two", "db"))
    assert changed(world.put(alias("s/two", "cache"))) == {"s/web", "s/one", "s/two"}
    assert world.links("s/web") == {"s/cache"}
    assert changed(world.put(service("s/two"))) == {"s/web", "s/one", "s/two"}
    assert world.links("s/web") == {"s/two"}


def test_a_target_that_turns_out_to_be_a_sidekick() -> None:
    world = World()
    world.put(service("s/web", links=["side"]))
    assert world.links("s/web") == {"s/side"}
    assert changed(world.put(service("s/side", primary="main"))) == {"s/web"}
    assert world.links("s/web") == {"s/main"}
    assert changed(world.drop("s/side")) == {"s/web"}
    assert world.links("s/web") == {"s/side"}


def test_sidekicks_links_are_their_primarys() -> None:
    world = World()
    world.put(service("s/web", links=["a"]), service("s/side", primary="web", links=["b"]))
    assert world.links("s/web") == {"s/a", "s/b"}
    assert world.links("s/side") == set()
    assert world.graph.members(service_key("s/web")) == {service_key("s/web"), service_key("s/side")}
    assert changed(world.put(service("s/side", links=["b"]))) == {"s/web", "s/side"}
    assert world.links("s/web") == {"s/a"}
    assert world.links("s/side") == {"s/b"}
    world.drop("s/web")
    assert world.links("s/web") == set()


def test_selectors_follow_labels() -> None:
    world = World()
    world.put(balancer("s/lb", PortRule(selector="tier=front, zone!=b")), service("s/db"))
    assert changed(world.put(service("s/web", labels={"Tier": "FRONT", "zone": "a"}))) == {"s/lb"}
    assert world.links("s/lb") == {"s/web"}
    assert changed(world.put(service("s/web", labels={"Tier": "front", "zone": "b"}))) == {"s/lb"}
    world.put(service("s/web", labels={"tier": "front", "zone": "c"}))
    assert world.links("s/lb") == {"s/web"}
    assert changed(world.drop("s/web")) == {"s/lb"}
    assert world.links("s/lb") == set()


def test_selectors_choose_application_services() -> None:
    world = World()
    labels = {"tier": "front"}
    world.put(balancer("s/lb", PortRule(selector="tier")), service("t/web", labels=labels))
    assert changed(world.put_stack(stack("t", system=True))) == {"s/lb"}
    assert world.links("s/lb") == set()
    world.put_stack(stack("t"))
    assert world.links("s/lb") == {"t/web"}
    world.put(service("t/web", labels=labels, system=True))
    assert world.links("s/lb") == set()


def test_selectors_choose_in_one_environment() -> None:
    world = World()
    labels = {"tier": "front"}
    world.put(balancer("s/lb", PortRule(selector="tier=front")), balancer("dev:s/lb", PortRule(selector="tier")))
    world.put(service("s/web", labels=labels), service("dev:s/web", labels=labels))
    assert world.links("s/lb") == {"s/web"}
    assert world.links("dev:s/lb") == {"dev/s/web"}


def test_containers_of_port_rules() -> None:
    world = World()
    first = world.put(balancer("s/lb", PortRule(container="c1")), balancer("s/other", PortRule(container="c1")))
    assert first.containers == {"c1"}
    assert world.graph.names_container("c1")
    assert world.graph.of(service_key("s/lb")).containers == {"c1"}
    world.drop("s/other")
    assert world.graph.names_container("c1")
    assert world.put(balancer("s/lb", PortRule(container="c2"))).containers == {"c1", "c2"}
    assert not world.graph.names_container("c1")


def test_environments_can_be_renamed() -> None:
    world = World()
    world.graph.change_environments(Environment(name="main"), {"dev": Environment(name="dev")})
    world.put(service("s/web", links=["dev/s/db"]))
    assert world.links("s/web") == {"dev/s/db"}
    world.graph.change_environments(Environment(name="main"), {"dev": Environment(name="test")})
    assert changed(world.graph.settle()) == {"s/web"}
    assert [problem.where for problem in world.graph.problems()] == ["service s/web"]
    world.drop("s/web")
    assert not list(world.graph.problems())
