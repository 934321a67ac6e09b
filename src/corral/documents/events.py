"""`/v1/events`: what happens, as server-sent events. The name of an event is the key here, its data the value."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from corral.documents.denied import DeniedFlow


class StateEvent(TypedDict):
    """`state`: readiness or its reasons have changed. The first event of a stream tells how they are."""

    status: Literal["starting", "ready", "degraded"]
    """As `/readyz` says it."""
    reasons: list[str]
    """Sentences; empty when all is well."""


class ContainerChanges(TypedDict):
    """Containers that have one thing in common; of many only the first are named."""

    count: int
    """How many."""
    names: list[str]
    """The first of them, as `stack/service/container`."""


class ChangeEvent(TypedDict):
    """`change`: the kernel took a transaction."""

    at: str
    """When, RFC 3339."""
    came: ContainerChanges
    """Endpoints that are new."""
    went: ContainerChanges
    """Endpoints that are gone."""
    changed: ContainerChanges
    """Endpoints that differ."""
    policy: str | None
    """The digest of the policy, where that changed."""
    repair: str | None
    """What was wrong with the table, where that was repaired."""
    latency_seconds: float | None
    """From the first event to this commit; null where no event caused it."""


class LostEvent(TypedDict):
    """`lost`: the reader was too slow."""

    events: int
    """So many were dropped, the oldest first."""


class Events(TypedDict, total=False):
    """All events by name; each message of the stream is one of them."""

    state: StateEvent
    """Readiness."""
    change: ChangeEvent
    """A commit."""
    denied: DeniedFlow
    """A denied flow that is new or was seen again: at most once in some seconds for each."""
    lost: LostEvent
    """A gap."""
