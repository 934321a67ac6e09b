"""What the health endpoint shows, asked of whoever runs it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

Json = dict[str, Any]


class Which(StrEnum):
    """Which ruleset: what we want, what the kernel holds, or where they differ."""

    DESIRED = "desired"
    INSTALLED = "installed"
    DIFFERENCE = "difference"


class AgentView(Protocol):
    """Everything is read-only. `ruleset` raises CorralError with a text for the operator."""

    def health(self) -> tuple[bool, Json]:
        """Readiness, and `status` with `reasons`."""

    def state(self) -> Json:
        """What the agent knows, enforces and waits for."""

    def policy(self) -> Json:
        """The policy in force, and why a newer one is not."""

    async def ruleset(self, which: Which) -> str:
        """As nft text."""

    async def metrics(self) -> bytes:
        """Prometheus text."""
