"""`/v1/containers`: the containers of this host, and whether the kernel holds what the policy says of them."""

from __future__ import annotations

from typing_extensions import TypedDict


class LocalContainer(TypedDict):
    """A live container of this host with an address of the managed network."""

    name: str
    """As Rancher calls it; empty for one without a name."""
    uuid: str
    """The metadata's uuid."""
    address: str
    """IPv4; containers that share a network have one address, and are programmed together."""
    party: str
    """The primary service as `stack/service`, several joined by ` + `; else the container; else the address."""
    judged: bool
    """Whether the policy judges it: false for a system container."""
    programmed: bool
    """Whether the kernel holds what the present policy says of it, and nothing that concerns it is pending."""
    since: str | None
    """When the kernel acknowledged the last transaction that concerned it, or the table was adopted; null while
    it is not programmed. RFC 3339."""
    policy: str | None
    """The digest of the policy that the kernel holds for it; null while it is not programmed."""
    verified: str | None
    """When the table was last read back and held this; null if it was not yet. RFC 3339."""


class Containers(TypedDict):
    """All of them, by name."""

    policy: str | None
    """The digest of the policy that is wanted; null while no good one is known."""
    reason: str | None
    """Why nothing is programmed at present; null when that is not so."""
    containers: list[LocalContainer]
    """Sorted by party, name and uuid."""


class Programmed(TypedDict):
    """`/v1/containers/{name}/programmed`: the answer for one container, after at most the time to wait."""

    container: str
    """What was asked for."""
    address: str | None
    """Its address; null while it is not known, or has none of the managed network."""
    programmed: bool
    """See the list. False after waiting, too: then `sentence` says what is missing."""
    final: bool
    """Whether waiting longer is of no use: it is programmed, or never will be as it is."""
    since: str | None
    """See the list."""
    policy: str | None
    """See the list."""
    verified: str | None
    """See the list."""
    waited_seconds: float
    """How long the answer was waited for."""
    sentence: str
    """The same in words, or why it is not programmed."""
