"""An endpoint: an address of the managed network with at least one live container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from corral.model.entities import ServiceKey, StackKey
from corral.types import Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """All that a policy may ask of an address, gathered from every live container that shares it.

    `services` and `links_to` hold primary services only (a sidekick counts as its primary).
    `labels` has one map a container, in the order of `containers`; service labels are merged in.
    `linked_containers` are those of its own containers that some live container links to.
    """

    address: Address
    containers: tuple[str, ...]
    local: bool = False
    system: bool = False
    stacks: frozenset[StackKey] = frozenset()
    services: frozenset[ServiceKey] = frozenset()
    labels: tuple[Mapping[str, str], ...] = ()
    links_to: frozenset[ServiceKey] = frozenset()
    links_to_containers: frozenset[str] = frozenset()
    linked_containers: frozenset[str] = frozenset()

    def label_values(self, key: str) -> Iterator[str]:
        """The values that its containers carry for the label `key`, compared exactly."""
        return (labels[key] for labels in self.labels if key in labels)
