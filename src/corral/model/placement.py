"""Which networks live containers are on, and which of these containers run on this host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set

from corral.model.entities import DEAD_STATES, OWN_ENVIRONMENT, Container
from corral.model.index import Index


class Placement:
    """Counts live containers by network: the choice of the managed network asks."""

    def __init__(self) -> None:
        self.self_host = ""
        self._local: Index[str, str] = Index()
        self._populations: Counter[str] = Counter()

    def local(self, network: str) -> Set[str]:
        """The live containers of this host on `network`, by uuid."""
        return self._local.of(network)

    def populated(self, network: str) -> bool:
        """Whether any live container is on `network`, on whatever host."""
        return self._populations[network] > 0

    def move(self, old: Container | None, new: Container | None) -> Sequence[str]:
        """Follow one container that changed; answers the networks on which something did."""
        before, after = _place(old), _place(new)
        if before is after:
            return ()
        networks = []
        if before:
            networks.append(before.network)
            self._populations[before.network] -= 1
            if not self._populations[before.network]:
                del self._populations[before.network]
            if before.host == self.self_host and self._is_local(before):
                self._local.discard(before.network, before.uuid)
        if after:
            networks.append(after.network)
            self._populations[after.network] += 1
            if after.host == self.self_host and self._is_local(after):
                self._local.add(after.network, after.uuid)
        return networks

    def settle_on(self, self_host: str, containers: Iterable[Container]) -> None:
        """Learn which host this is."""
        self.self_host = self_host
        self._local = Index()
        for container in containers:
            place = _place(container)
            if place and self._is_local(place):
                self._local.add(place.network, container.uuid)

    def _is_local(self, place: Container) -> bool:
        return place.host == self.self_host and bool(self.self_host) and place.environment == OWN_ENVIRONMENT


def _place(container: Container | None) -> Container | None:
    return container if container and container.network and container.state not in DEAD_STATES else None
