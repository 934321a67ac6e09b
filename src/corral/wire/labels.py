"""The labels that Rancher, or PastureStack, writes on the containers of a service."""

from __future__ import annotations

from collections.abc import Mapping

FAMILIES = ("io.rancher", "io.pasturestack")
PRIMARY = frozenset(f"{family}.service.primary.launch.config" for family in FAMILIES)


def launch_config(labels: Mapping[str, str]) -> str:
    """The sidekick that a container was launched as, in lower case; empty for the primary, or when not said.

    Labels can be written by users, so this may only choose among the sidekicks of a service known otherwise.
    """
    for family in FAMILIES:
        name = labels.get(f"{family}.service.launch.config", "")
        if name:
            return "" if name in PRIMARY else name.lower()
    return ""
