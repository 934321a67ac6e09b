"""Selectors that name an endpoint: as few labels as tell it, and those who are called alike, apart from all others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations

from corral.model.endpoint import Endpoint
from corral.policy.labels import is_indexed
from corral.selector import Selector
from corral.types import Address

# Rancher writes these on every container. Of a service they name all containers, of a standalone container itself.
OF_SERVICES = "io.rancher.stack_service.name"
OF_CONTAINERS = "io.rancher.container.name"
_MOST_LABELS = 8
_MOST_CLAUSES = 3

Label = tuple[str, str]


def selectors_for(
    named: Endpoint, alike: Collection[Address], endpoints: Mapping[Address, Endpoint]
) -> tuple[str, ...]:
    """The best selector of the user's own labels first; then Rancher's name for it, unless the first needs no help.

    `alike` are the endpoints that may as well be matched. None if no selector can name the endpoint.
    """
    selectors = []
    own = list(_own_labels(named))[:_MOST_LABELS]
    if own:
        others = _others(own, alike, endpoints)
        chosen = min(_combinations(own), key=lambda labels: (_number_of_others(labels, others), len(labels), labels))
        selectors.append(_written(chosen))
        if not _number_of_others(chosen, others):
            return tuple(selectors)
    name = OF_SERVICES if named.services else OF_CONTAINERS
    selectors += [_written([(name, value)]) for value in list(named.label_values(name))[:1] if _usable((name, value))]
    return tuple(selectors)


def shared_labels(client: Endpoint, server: Endpoint) -> tuple[str, ...]:
    """The user's labels of which both carry the same value, compared exactly."""
    common = {pair for labels in client.labels for pair in labels.items()}
    common &= {pair for labels in server.labels for pair in labels.items()}
    return tuple(sorted({key for key, _ in common if key and is_indexed(key)}))


def _own_labels(endpoint: Endpoint) -> Iterator[Label]:
    pairs = {pair for labels in endpoint.labels for pair in labels.items()}
    return (pair for pair in sorted(pairs) if is_indexed(pair[0]) and _usable(pair))


def _usable(label: Label) -> bool:
    """Whether a selector can be written with it: some characters have a meaning there."""
    try:
        selector = Selector.parse(_written([label]))
    except ValueError:
        return False
    return len(selector.clauses) == 1 and selector.matches([dict([label])])


def _written(labels: Iterable[Label]) -> str:
    """In the letter case of the labels, though it does not matter: so people know them."""
    return ", ".join(f"{key}={value}" for key, value in labels)


def _combinations(labels: list[Label]) -> Iterator[tuple[Label, ...]]:
    for number in range(1, min(len(labels), _MOST_CLAUSES) + 1):
        yield from combinations(labels, number)


def _others(
    labels: Iterable[Label], alike: Collection[Address], endpoints: Mapping[Address, Endpoint]
) -> Mapping[Label, set[Address]]:
    """Who else carries each label. Exactly: other spellings match too, but only serve to choose."""
    others: dict[Label, set[Address]] = {label: set() for label in labels}
    for address, endpoint in endpoints.items():
        if address in alike or endpoint.system:
            continue
        for label, holders in others.items():
            for carried in endpoint.labels:
                if carried.get(label[0]) == label[1]:
                    holders.add(address)
    return others


def _number_of_others(labels: Iterable[Label], others: Mapping[Label, set[Address]]) -> int:
    return len(set.intersection(*(others[label] for label in labels)))
