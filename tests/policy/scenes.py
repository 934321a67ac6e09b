"""Endpoints written by hand, and the environment of the seed document's third example."""

from __future__ import annotations

from collections.abc import Mapping

from corral.model.endpoint import Endpoint
from corral.model.entities import ServiceKey, StackKey
from corral.policy.rules import Policy
from corral.policy.validate import parse_policy
from corral.policy.verdict import Scene
from corral.types import Address, Subnet

SUBNETS = (Subnet.parse("10.42.0.0/16"),)
BRIDGE = "docker0"


def address(number: int) -> Address:
    """`10.42.0.number`."""
    return Address.parse(f"10.42.0.{number}")


def endpoint(
    number: int,
    service: str = "",
    *,
    local: bool = True,
    system: bool = False,
    labels: Mapping[str, str] | None = None,
    links_to: str = "",
    links_to_containers: str = "",
    linked: bool = False,
) -> Endpoint:
    """One container `c<number>`, of `stack/service` (or standalone), linking to services and containers."""
    services = frozenset(_service(path) for path in service.split())
    return Endpoint(
        address(number),
        (f"c{number}",),
        local=local,
        system=system,
        stacks=frozenset(StackKey("", one.stack) for one in services),
        services=services,
        labels=(labels or {},),
        links_to=frozenset(_service(path) for path in links_to.split()),
        links_to_containers=frozenset(links_to_containers.split()),
        linked_containers=frozenset([f"c{number}"] if linked else []),
    )


def _service(path: str) -> ServiceKey:
    stack, name = path.split("/")
    return ServiceKey("", stack, name)


def by_address(*endpoints: Endpoint) -> dict[Address, Endpoint]:
    return {one.address: one for one in endpoints}


def policy(*rules: object, default: str = "deny") -> Policy:
    return parse_policy(list(rules), default)


def scene(judged_by: Policy, *endpoints: Endpoint, unknown_allowed: bool = False) -> Scene:
    return Scene(judged_by, SUBNETS, by_address(*endpoints), unknown_allowed)


_DEPARTMENT, _LOCATION = "com.rancher.department", "com.rancher.location"
SEED_LABELS = {
    "stack_one/service_one": {_DEPARTMENT: "qa"},
    "stack_one/service_two": {_DEPARTMENT: "engineering"},
    "stack_one/service_three": {_LOCATION: "cupertino"},
    "stack_two/service_one": {_DEPARTMENT: "qa"},
    "stack_two/service_two": {_LOCATION: "cupertino"},
    "stack_three/service_one": {_DEPARTMENT: "engineering"},
    "stack_three/service_two": {_LOCATION: "phoenix"},
}
# Two containers of each service, so that "with its own copies" can be asked.
SEED = by_address(
    *(
        endpoint(10 + 2 * index + copy, service, labels=labels)
        for index, (service, labels) in enumerate(SEED_LABELS.items())
        for copy in (0, 1)
    )
)
WITHIN_STACK = {"within": "stack", "action": "allow"}
BETWEEN_DEPARTMENTS = {"between": {"groupBy": _DEPARTMENT}, "action": "allow"}


def service_of(one: Endpoint) -> str:
    (service,) = one.services
    return str(service)
