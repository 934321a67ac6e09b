"""The groups of endpoints that rules tell apart: each is a set of client addresses that servers' chains look up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from enum import Enum, StrEnum
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from corral.model.endpoint import Endpoint
from corral.model.entities import ServiceKey, StackKey
from corral.nft.names import comment, object_name
from corral.nft.values import NftSet
from corral.policy.rules import Between, Form, FromTo, GroupBy, Scope, Within
from corral.selector import Selector


class Kind(StrEnum):
    """What the members of a group share; also the first word of its set's name."""

    UNJUDGED = "unjudged"  # every endpoint that is not LOCAL
    SYSTEM = "system"
    LOCAL = "local"  # local application endpoints
    STACK = "stack"
    SERVICE = "service"
    LINKED = "linked"
    LINKED_CONTAINER = "linked-container"
    LABEL = "label"
    SELECTOR = "selector"


_MEANINGS = {
    Kind.UNJUDGED: "system endpoints, and those that other hosts judge",
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


UNJUDGED, SYSTEM, LOCAL = Group(Kind.UNJUDGED), Group(Kind.SYSTEM), Group(Kind.LOCAL)


class Census(Enum):
    """The criterion of the sets that do not depend on the rules."""

    CENSUS = "census"


# What a rule asks of a client. Rules with the same criterion share its groups.
Criterion = Census | Within | GroupBy | Selector

# What tells the groups of one criterion apart: a stack, a service, a container, a label's value. A selector has one.
Key = StackKey | ServiceKey | str | None
Keys = Callable[[Endpoint], Collection[Key]]
_ONE: Collection[Key] = (None,)


def criterion_of(form: Form) -> Criterion:
    """What a rule of this form sorts clients by."""
    match form:
        case Within() | GroupBy():
            return form
        case Between(selector) | FromTo(client=selector):
            return selector


def group_of(criterion: Criterion, key: Key) -> Group:
    """The group of the criterion that the key means."""
    match criterion, key:
        case Within(Scope.STACK), StackKey():
            return Group(Kind.STACK, _path(key))
        case Within(Scope.SERVICE), ServiceKey():
            return Group(Kind.SERVICE, _path(key))
        case Within(Scope.LINKED), ServiceKey():
            return Group(Kind.LINKED, _path(key))
        case Within(Scope.LINKED), str():
            return Group(Kind.LINKED_CONTAINER, (key,))
        case GroupBy(label), str():
            return Group(Kind.LABEL, (label, key))
        case Selector(), None:
            return Group(Kind.SELECTOR, (str(criterion),))
        case _:
            raise ValueError(f"{criterion} has no group {key!r}")


def client_keys(criterion: Criterion) -> Keys:
    """Finds the keys of the criterion's groups that an application endpoint is a member of, each once."""
    match criterion:
        case Within(Scope.STACK):
            return attrgetter("stacks")
        case Within(Scope.SERVICE):
            return attrgetter("services")
        case Within():
            return _links_from
        case GroupBy(label):
            return partial(_values, label)
        case Selector():
            return partial(_selected, criterion)
        case _:
            raise ValueError(f"{criterion} does not depend on the rules")


def server_keys(form: Form) -> Keys:
    """Finds the keys of the groups, of the form's criterion, whose members match as clients of an endpoint."""
    match form:
        case FromTo(_, server):
            return partial(_selected, server)
        case Within(Scope.LINKED):
            return _links_to
        case _:
            return client_keys(criterion_of(form))


def client_groups(criterion: Criterion, endpoint: Endpoint) -> frozenset[Group]:
    """The groups of the criterion whose member the endpoint is. Rules match application endpoints only."""
    if isinstance(criterion, Census):
        return frozenset(_census(endpoint))
    if endpoint.system:
        return frozenset()
    return frozenset(group_of(criterion, key) for key in client_keys(criterion)(endpoint))


def server_groups(form: Form, endpoint: Endpoint) -> tuple[Group, ...]:
    """The groups whose members match the rule as clients of this (application) endpoint, ports aside."""
    criterion = criterion_of(form)
    return tuple(sorted(group_of(criterion, key) for key in server_keys(form)(endpoint)))


def _census(endpoint: Endpoint) -> Iterator[Group]:
    if endpoint.system:
        yield SYSTEM
    yield LOCAL if endpoint.local and not endpoint.system else UNJUDGED


def _links_from(endpoint: Endpoint) -> Collection[Key]:
    if not endpoint.links_to_containers:
        return endpoint.links_to
    return (*endpoint.links_to, *endpoint.links_to_containers)


def _links_to(endpoint: Endpoint) -> Collection[Key]:
    if not endpoint.linked_containers:
        return endpoint.services
    return (*endpoint.services, *endpoint.linked_containers)


def _values(label: str, endpoint: Endpoint) -> Collection[Key]:
    if len(endpoint.labels) == 1:  # nearly always, and without a set
        value = endpoint.labels[0].get(label)
        return () if value is None else (value,)
    return {labels[label] for labels in endpoint.labels if label in labels}


def _selected(selector: Selector, endpoint: Endpoint) -> Collection[Key]:
    return _ONE if selector.matches(endpoint.labels) else ()


def _path(key: tuple[str, ...]) -> tuple[str, ...]:
    """The parts of a stack's or service's key; its environment only where it is not ours."""
    return key if key[0] else key[1:]
