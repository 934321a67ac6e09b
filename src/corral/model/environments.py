"""Our environment and the linked ones, found by the names that links use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from corral.model.entities import OWN_ENVIRONMENT, Environment

# Every link to an unknown environment has a message with these names.
NAMES_LISTED = 10


class Environments:
    """Finds the key of an environment (OWN_ENVIRONMENT is ours) by its name and region, in any case."""

    def __init__(self, own: Environment, linked: Mapping[str, Environment]) -> None:
        self.own = own
        self.linked = linked
        self._regions: dict[str, str] = {}
        self._by_name: dict[str, dict[str, str]] = {}
        for key, environment in [(OWN_ENVIRONMENT, own), *sorted(linked.items())]:
            region = environment.region.casefold()
            self._regions[key] = region
            self._by_name.setdefault(environment.name.casefold(), {}).setdefault(region, key)

    def find(self, name: str, region: str, home: str) -> str | None:
        """The environment that a service of environment `home` means, or None.

        Without a region the name means one of home's own region, else the only one of that name.
        """
        by_region = self._by_name.get(name.casefold(), {}) if name else {}
        if region:
            return by_region.get(region.casefold())
        near = by_region.get(self._regions.get(home, ""))
        if near is None and len(by_region) == 1:
            (near,) = by_region.values()
        return near

    @cached_property
    def names(self) -> str:
        """The environments, for messages."""
        known = [self.own, *self.linked.values()]
        names = sorted(f"{e.region}/{e.name}" if e.region else e.name for e in known if e.name)
        if len(names) > NAMES_LISTED:
            names[NAMES_LISTED:] = [f"{len(names) - NAMES_LISTED} more"]
        return ", ".join(names) or "none"
