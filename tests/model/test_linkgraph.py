"""Resolving again only what a change can have an effect on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

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
        return self.settled()

    def settled(self) -> LinkChange:
        """Someone asks about all groups, so that from then on only those that differ are reported."""
        change = self.graph.settle()
        for one in self.services.values():
            self.graph.of(one.primary_key)
        return change

    def drop(self, key: str) -> LinkChange:
        old = self.services.pop(service_key(key))
        self.graph.change_service(old.key, old, None)
        return self.settled()

    def put_stack(self, new: Stack) -> LinkChange:
        self.stacks[new.key] = new
        self.graph.change_stack(new.key)
        return self.settled()

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


def test_an_alias_stands_for_all_that_it_links_to() -> None:
    world = World()
    dev = Environment(name="Dev", region="west")
    world.graph.change_environments(Environment(name="Default", region="west"), {"west/dev": dev})
    world.put(service("s/web", links=["stores"]), alias("s/stores", "db", "ops/more"), service("ops/cache"))
    world.put(alias("ops/more", "cache", "dev/s/db"))
    assert world.links("s/web") == {"s/db", "ops/cache", "west/dev/s/db"}


def test_what_an_alias_names_badly_is_the_aliass_problem() -> None:
    world = World()
    assert world.put(service("s/web", links=["stores"]), alias("s/stores", "a//b")).problems
    assert [problem.where for problem in world.graph.problems()] == ["service s/stores"]
    assert world.put(alias("s/stores", "a")).problems
    assert not list(world.graph.problems())


def test_aliases_in_a_circle_stand_for_the_same() -> None:
    world = World()
    world.put(service("s/web", links=["one"]), alias("s/one", "two"), alias("s/two", "one", "db"))
    assert world.links("s/web") == world.links("s/one") == world.links("s/two") == {"s/db"}
    assert world.graph.of(service_key("s/one")).services is world.graph.of(service_key("s/two")).services
    world.put(alias("s/me", "me"), service("s/web", links=["me"]))
    assert world.links("s/web") == set()


def test_links_are_not_followed_through_plain_services() -> None:
    world = World()
    world.put(service("s/web", links=["app"]), service("s/app", links=["db"]))
    assert world.links("s/web") == {"s/app"}


def test_a_selection_leads_on_through_aliases_and_to_primaries() -> None:
    world = World()
    tier = {"tier": "front"}
    world.put(balancer("s/lb", PortRule(selector="tier=front"), PortRule(selector="tier")), alias("s/all", "a", "b"))
    assert changed(world.put(replace(alias("s/all", "a", "b"), labels=tier))) == {"s/lb"}
    assert world.links("s/lb") == {"s/a", "s/b"}
    assert changed(world.put(service("s/side", labels=tier, primary="main"))) == {"s/lb"}
    assert world.links("s/lb") == {"s/a", "s/b", "s/main"}
    assert changed(world.put(alias("s/all", "b"))) == {"s/all", "s/lb"}
    assert world.links("s/lb") == {"s/main"}


def test_groups_that_nobody_has_asked_about_are_reported_whenever_they_may_differ() -> None:
    world = World()
    web = service("s/web", links=["one"])
    for one in (web, alias("s/one", "db")):
        world.services[one.key] = one
        world.graph.change_service(one.key, None, one)
    assert changed(world.graph.settle()) == {"s/web", "s/one"}
    old, new = world.services[service_key("s/one")], alias("s/one", "db", "db")
    world.services[new.key] = new
    world.graph.change_service(new.key, old, new)
    assert changed(world.graph.settle()) == set(), "the same target twice"
    assert world.links("s/web") == {"s/db"}
    world.drop("s/web")
    assert not world.graph.of(web.key).services


class Looked(dict[ServiceKey, Service]):
    """Counts how often a service is looked at."""

    count = 0

    def __getitem__(self, key: ServiceKey) -> Service:
        self.count += 1
        return super().__getitem__(key)

    def get(self, key: ServiceKey, default: Service | None = None) -> Service | None:  # type: ignore[override]
        self.count += 1
        return super().get(key, default)


def looks(world: World, change: Callable[[], LinkChange]) -> int:
    assert isinstance(world.services, Looked)
    before = world.services.count
    change()
    return world.services.count - before


def test_a_change_beside_a_big_graph_does_not_look_at_it() -> None:
    world = World(services=Looked())
    ring = [alias(f"s/a{number}", f"a{(number + 1) % 500}", f"db{number}") for number in range(500)]
    chosen = [service(f"s/x{number}", labels={"tier": "front"}) for number in range(500)]
    world.put(*ring, *chosen, balancer("s/lb", PortRule(selector="tier=front")), service("s/user", links=["a0"]))
    world.put(service("t/web", links=["one"]), alias("t/one", "db"), service("t/db"))
    world.settled = world.graph.settle  # type: ignore[method-assign]
    assert looks(world, lambda: world.put(alias("t/one", "cache"))) < 20
    assert world.links("t/web") == {"t/cache"}
    assert looks(world, lambda: world.put(service("s/x7", labels={"tier": "front", "other": "1"}))) < 20
    assert looks(world, lambda: world.put(alias("s/a7", "a8", "more"))) > 500, "this one does: it is what changed"
    assert "s/more" in world.links("s/user")


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
