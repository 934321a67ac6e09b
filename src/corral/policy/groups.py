"""The groups of endpoints that rules tell apart: each is a set of client addresses that servers' chains look up."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, StrEnum
from typing import NamedTuple

from corral.model.endpoint import Endpoint
from corral.nft.names import comment, object_name
from corral.nft.values import NftSet
from corral.policy.rules import Between, Form, FromTo, GroupBy, Scope, Within
from corral.selector import Selector


class Kind(StrEnum):
    """What the members of a group share; also the first word of its set's name."""

    KNOWN = "known"  # every endpoint, remote and system ones included
    SYSTEM = "system"
    LOCAL = "local"  # local application endpoints
    STACK = "stack"
    SERVICE = "service"
    LINKED = "linked"
    LINKED_CONTAINER = "linked-container"
    LABEL = "label"
    SELECTOR = "selector"


_MEANINGS = {
    Kind.KNOWN: "every known endpoint",
    Kind.SYSTEM: "system endpoints: not judged",
    Kind.LOCAL: "application endpoints of this host",
    Kind.LINKED: "what links to {}",
    Kind.LINKED_CONTAINER: "what links to container {}",
}


class Group(NamedTuple):
    """A kind, and what its members have in common."""

    kind: Kind
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind is Kind.LABEL:
            return f"label {'='.join(self.parts)}"
        return _MEANINGS.get(self.kind, f"{self.kind} {{}}").replace("{}", "/".join(self.parts))

    @property
    def set_name(self) -> str:
        """The name of its set in the table."""
        return object_name(self.kind, *self.parts)

    @property
    def declaration(self) -> NftSet:
        """Its set, whose comment says what its members have in common."""
        return NftSet(self.set_name, comment=comment(str(self)))


KNOWN, SYSTEM, LOCAL = Group(Kind.KNOWN), Group(Kind.SYSTEM), Group(Kind.LOCAL)


class Census(Enum):
    """The criterion of the sets that do not depend on the rules."""

    CENSUS = "census"


# What a rule asks of a client. Rules with the same criterion share its groups.
Criterion = Census | Within | GroupBy | Selector


def criterion_of(form: Form) -> Criterion:
    """What a rule of this form sorts clients by."""
    match form:
        case Within() | GroupBy():
            return form
        case Between(selector) | FromTo(client=selector):
            return selector


def client_groups(criterion: Criterion, endpoint: Endpoint) -> frozenset[Group]:
    """The groups of the criterion whose member the endpoint is. Rules match application endpoints only."""
    if isinstance(criterion, Census):
        return frozenset(_census(endpoint))
    return frozenset() if endpoint.system else frozenset(_as_client(criterion, endpoint))


def server_groups(form: Form, endpoint: Endpoint) -> tuple[Group, ...]:
    """The groups whose members match the rule as clients of this (application) endpoint, ports aside."""
    match form:
        case FromTo(client, server):
            return (_selected(client),) if server.matches(endpoint.labels) else ()
        case Within(Scope.LINKED):
            return tuple(sorted(_links_to(endpoint)))
        case Within() | GroupBy() | Between():
            return tuple(sorted(client_groups(criterion_of(form), endpoint)))


def _census(endpoint: Endpoint) -> Iterator[Group]:
    yield KNOWN
    if endpoint.system:
        yield SYSTEM
    elif endpoint.local:
        yield LOCAL


def _as_client(criterion: Within | GroupBy | Selector, endpoint: Endpoint) -> Iterator[Group]:
    match criterion:
        case Within(Scope.STACK):
            return (Group(Kind.STACK, _path(key)) for key in endpoint.stacks)
        case Within(Scope.SERVICE):
            return (Group(Kind.SERVICE, _path(key)) for key in endpoint.services)
        case Within():
            return _links_from(endpoint)
        case GroupBy(label):
            return (Group(Kind.LABEL, (label, value)) for value in endpoint.label_values(label))
        case Selector():
            return iter((_selected(criterion),) if criterion.matches(endpoint.labels) else ())


def _links_from(endpoint: Endpoint) -> Iterator[Group]:
    for service in endpoint.links_to:
        yield Group(Kind.LINKED, _path(service))
    for container in endpoint.links_to_containers:
        yield Group(Kind.LINKED_CONTAINER, (container,))


def _links_to(endpoint: Endpoint) -> Iterator[Group]:
    for service in endpoint.services:
        yield Group(Kind.LINKED, _path(service))
    for container in endpoint.linked_containers:
        yield Group(Kind.LINKED_CONTAINER, (container,))


def _selected(selector: Selector) -> Group:
    return Group(Kind.SELECTOR, (str(selector),))


def _path(key: tuple[str, ...]) -> tuple[str, ...]:
    """The parts of a stack's or service's key; its environment only where it is not ours."""
    return key if key[0] else key[1:]
