"""Endpoints straight from the words of the semantics, from scratch and without regard to cost."""

from __future__ import annotations

from collections.abc import Mapping

from corral.model.endpoint import Endpoint
from corral.model.entities import Container, Environment, PortRule, Service, ServiceKey, Snapshot, Stack, StackKey
from corral.selector import Selector
from corral.types import Address, Subnet


class Oracle:
    """Judges one snapshot, given its managed networks."""

    def __init__(self, content: Snapshot, networks: set[str], subnets: tuple[Subnet, ...]) -> None:
        self.content = content
        self.networks = networks
        self.subnets = subnets

    def endpoints(self) -> dict[Address, Endpoint]:
        holders: dict[Address, dict[str, list[Container]]] = {}
        for one in self.content.containers.values():
            owner = self.owner(one)
            if one.live and owner and owner.address is not None and owner.network in self.networks:
                holders.setdefault(owner.address, {}).setdefault(owner.uuid, []).append(one)
        return {
            address: self.endpoint(address, sorted(next(iter(claims.values())), key=lambda one: one.uuid))
            for address, claims in holders.items()
            if len(claims) == 1 and any(address in subnet for subnet in self.subnets)
        }

    def owner(self, one: Container) -> Container | None:
        for _ in range(len(self.content.containers) + 1):
            if not one.network_from or one.network_from not in self.content.containers:
                return one
            one = self.content.containers[one.network_from]
        return None

    def endpoint(self, address: Address, holders: list[Container]) -> Endpoint:
        services = frozenset(self.primary(one.service) for one in holders if one.service)
        group = [service for service in self.content.services.values() if service.primary_key in services]
        named = {rule.container for service in group for rule in self.port_rules(service) if rule.container}
        linked = {uuid for one in self.content.containers.values() if one.live for uuid in one.links}
        linked |= {rule.container for service in self.content.services.values() for rule in self.port_rules(service)}
        return Endpoint(
            address=address,
            containers=tuple(one.uuid for one in holders),
            local=any(one.host == self.content.self_host and not one.environment for one in holders),
            system=any(self.system(one) for one in holders),
            stacks=frozenset(stack for one in holders if (stack := self.stack(one))),
            services=services,
            labels=tuple(self.labels(one) for one in holders),
            links_to=frozenset(target for service in group for target in self.targets(service)),
            links_to_containers=frozenset(named | {uuid for one in holders for uuid in one.links}),
            linked_containers=frozenset(one.uuid for one in holders if one.uuid in linked),
        )

    def primary(self, key: ServiceKey) -> ServiceKey:
        service = self.content.services.get(key)
        return service.primary_key if service else key

    def stack(self, one: Container) -> StackKey | None:
        return one.stack or (StackKey(one.service.environment, one.service.stack) if one.service else None)

    def system(self, one: Container) -> bool:
        service = self.content.services.get(one.service) if one.service else None
        stack = self.stack(one)
        known = self.content.stacks.get(stack) if stack else None
        return one.system or (service is not None and service.system) or (known is not None and known.system)

    def labels(self, one: Container) -> Mapping[str, str]:
        service = self.content.services.get(one.service) if one.service else None
        return {**(service.labels if service else {}), **one.labels}

    def port_rules(self, service: Service) -> tuple[PortRule, ...]:
        return service.port_rules if service.kind == "loadBalancerService" else ()

    def targets(self, service: Service) -> set[ServiceKey]:
        home = service.key
        named = [self.named(link, home) for link in service.links]
        for rule in self.port_rules(service):
            if rule.service:
                named.append(self.named(rule.service, home, rule.environment, rule.region))
            if rule.selector:
                named.extend(self.selected(rule, home))
        reached: set[ServiceKey] = set()
        for key in named:
            self.reach(key, reached)
        return {self.primary(key) for key in reached if not self.is_alias(key)}

    def reach(self, key: ServiceKey | None, reached: set[ServiceKey]) -> None:
        if key is None or key in reached:
            return
        reached.add(key)
        if self.is_alias(key):
            for link in self.content.services[key].links:
                self.reach(self.named(link, key), reached)

    def is_alias(self, key: ServiceKey) -> bool:
        return key in self.content.services and self.content.services[key].kind == "dnsService"

    def named(self, text: str, home: ServiceKey, environment: str = "", region: str = "") -> ServiceKey | None:
        parts = text.lower().split("/")
        if not all(parts) or len(parts) > 4:
            return None
        if len(parts) > 2:
            environment = parts[-3]
            region = parts[0] if len(parts) == 4 else ""
        stack = parts[-2] if len(parts) > 1 else home.stack
        where = self.environment(environment, region, home.environment) if environment else home.environment
        return None if where is None else ServiceKey(where, stack, parts[-1])

    def environment(self, name: str, region: str, home: str) -> str | None:
        known: dict[str, Environment] = {"": self.content.own, **self.content.linked}
        same = {key: one.region.lower() for key, one in known.items() if one.name.lower() == name.lower()}
        wanted = region.lower() or known.get(home, Environment(name="")).region.lower()
        near = [key for key, its_region in same.items() if its_region == wanted]
        if near:
            return near[0]
        return next(iter(same)) if len(same) == 1 and not region else None

    def selected(self, rule: PortRule, home: ServiceKey) -> list[ServiceKey]:
        environment = self.environment(rule.environment, rule.region, home.environment) if rule.environment else home[0]
        try:
            selector = Selector.parse(rule.selector)
        except ValueError:
            return []
        return [
            key
            for key, service in self.content.services.items()
            if key.environment == environment
            and not service.system
            and not (
                self.content.stacks.get(StackKey(key.environment, key.stack)) or Stack(key=StackKey("", ""))
            ).system
            and selector.matches([service.labels])
        ]
