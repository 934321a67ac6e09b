"""Readable builders of model values for tests.

Services are written `stack/service`, or `environment:stack/service` for those of a linked environment
(`east/dev:stack/service`). Everything is on the managed network and on the host of the agent unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from corral.model.entities import (
    OWN_ENVIRONMENT,
    Container,
    Environment,
    Host,
    Network,
    PortRule,
    Service,
    ServiceKey,
    Snapshot,
    Stack,
    StackKey,
)
from corral.types import Address

MANAGED = "net-managed"
HERE = "host-1"
THERE = "host-2"
OWN = Environment(name="default", uuid="env-default")

Thing = Container | Service | Stack | Host | Network


def address(text: str) -> Address:
    return Address.parse(text)


def service_key(text: str) -> ServiceKey:
    environment, _, path = text.rpartition(":")
    stack, name = path.split("/")
    return ServiceKey(environment, stack, name)


def stack_key(text: str) -> StackKey:
    environment, _, name = text.rpartition(":")
    return StackKey(environment, name)


def container(
    uuid: str,
    at: str | None = None,
    *,
    of: str = "",
    stack: str = "",
    network: str = MANAGED,
    network_from: str = "",
    host: str = HERE,
    state: str = "running",
    system: bool = False,
    labels: Mapping[str, str] | None = None,
    links: Iterable[str] = (),
    environment: str = OWN_ENVIRONMENT,
) -> Container:
    """A container at an address, of a service (`stack/service`), of a stack alone, or standalone."""
    service = service_key(of) if of else None
    stack_of_it = stack_key(stack) if stack else StackKey(service.environment, service.stack) if service else None
    return Container(
        uuid=uuid,
        name=uuid,
        environment=service.environment if service else environment,
        address=address(at) if at else None,
        network="" if network_from else network,
        network_from=network_from,
        host=host,
        state=state,
        system=system,
        stack=stack_of_it,
        service=service,
        labels=labels or {},
        links=frozenset(links),
    )


def service(
    key: str,
    *,
    kind: str = "service",
    primary: str = "",
    system: bool = False,
    labels: Mapping[str, str] | None = None,
    links: Iterable[str] = (),
    port_rules: Iterable[PortRule] = (),
) -> Service:
    """A service, or a sidekick when `primary` names another one."""
    parsed = service_key(key)
    return Service(
        key=parsed,
        uuid=f"uuid-{key}",
        kind=kind,
        system=system,
        primary=primary or parsed.name,
        labels=labels or {},
        links=tuple(links),
        port_rules=tuple(port_rules),
    )


def alias(key: str, *links: str) -> Service:
    """A service alias."""
    return service(key, kind="dnsService", links=links)


def balancer(key: str, *port_rules: PortRule, links: Iterable[str] = ()) -> Service:
    """A load balancer."""
    return service(key, kind="loadBalancerService", port_rules=port_rules, links=links)


def stack(key: str, *, system: bool = False) -> Stack:
    return Stack(key=stack_key(key), uuid=f"uuid-{key}", system=system)


def host(uuid: str, *, labels: Mapping[str, str] | None = None, environment: str = OWN_ENVIRONMENT) -> Host:
    return Host(uuid=uuid, name=uuid, environment=environment, labels=labels or {})


def network(
    uuid: str = MANAGED,
    subnet: str = "10.42.0.0/16",
    *,
    name: str = "ipsec",
    bridge: str = "docker0",
    environment: str = OWN_ENVIRONMENT,
    state: str = "",
    policy: object = None,
    default: object = None,
) -> Network:
    return Network(
        uuid=uuid,
        name=name,
        environment=environment,
        state=state,
        bridge=bridge,
        bridge_subnet=subnet,
        policy=policy,
        default_policy_action=default,
    )


def bare_snapshot(
    *things: Thing,
    self_host: str = HERE,
    own: Environment = OWN,
    linked: Mapping[str, Environment] | None = None,
) -> Snapshot:
    """A snapshot of exactly these things."""
    return Snapshot(
        self_host=self_host,
        own=own,
        linked=linked or {},
        hosts={thing.uuid: thing for thing in things if isinstance(thing, Host)},
        stacks={thing.key: thing for thing in things if isinstance(thing, Stack)},
        services={thing.key: thing for thing in things if isinstance(thing, Service)},
        containers={thing.uuid: thing for thing in things if isinstance(thing, Container)},
        networks={thing.uuid: thing for thing in things if isinstance(thing, Network)},
    )


def snapshot(
    *things: Thing,
    self_host: str = HERE,
    own: Environment = OWN,
    linked: Mapping[str, Environment] | None = None,
) -> Snapshot:
    """A snapshot of these things, the managed network, two hosts, and plain services and stacks as they are named."""
    services: dict[ServiceKey, Service] = {}
    for thing in things:
        if isinstance(thing, Container) and thing.service:
            services[thing.service] = Service(key=thing.service, primary=thing.service.name)
        elif isinstance(thing, Service):
            services[thing.key] = thing
    keys = {StackKey(key.environment, key.stack) for key in services}
    keys |= {thing.stack for thing in things if isinstance(thing, Container) and thing.stack}
    stacks = [Stack(key=key) for key in sorted(keys)]
    implied: list[Thing] = [network(), host(HERE), host(THERE), *services.values(), *stacks]
    return bare_snapshot(*implied, *things, self_host=self_host, own=own, linked=linked)
