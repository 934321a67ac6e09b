"""`/v1/denied`: flows that the kernel dropped, or would drop, by the names that they had then."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from corral.documents.explain import SuggestedChange


class FlowEnd(TypedDict):
    """One end of a flow, as it was called when the packet was reported."""

    name: str | None
    """`stack/service/container`, or as much of it as there is; null for an address that is no known endpoint."""
    address: str
    """IPv4; IPv6 in a flow that `ipv6` decided."""
    party: str
    """The primary service as `stack/service`, several joined by ` + `; else the container; else the address."""


class DeniedFlow(TypedDict):
    """One client, server, protocol and port, and what denied them."""

    client: FlowEnd
    """Who opened the flow."""
    server: FlowEnd
    """Whom it was opened to, behind any published port."""
    protocol: str
    """`tcp`, `udp`, `icmp`; of another one its name or number."""
    port: int | None
    """The server's; null where the protocol has none."""
    verdict: Literal["deny", "audit"]
    """`deny`: dropped. `audit`: let through, but it would be dropped."""
    decided_by: Literal["rule", "default", "unknown", "invalid", "ipv6"]
    """What decided; `unknown` is the default action, for an end that is no known endpoint."""
    rule: int | None
    """The index of the rule at that time."""
    rule_text: str | None
    """The rule as it was then."""
    sentence: str
    """The verdict in words."""
    answered: bool
    """Whether the server had answered before: the flow was open and was cut, or would be."""
    count: int
    """Reported packets; the kernel limits the reports, the counters of the rules know all packets."""
    first: str
    """When the first of them was reported, RFC 3339."""
    last: str
    """When the last of them was reported, RFC 3339."""
    suggestion: NotRequired[str | None]
    """In lists: the smallest change that would allow it; null where `suggest` was not asked for, or there is none."""


class Denied(TypedDict):
    """Denied flows, the latest first."""

    mode: Literal["enforce", "audit", "off"]
    """How the agent runs now; a flow's own `verdict` says how it ran then."""
    listening: bool
    """Whether the kernel's reports reach the agent; the reasons of `/readyz` say why not."""
    since: str
    """From when on flows are known, RFC 3339: since then the agent runs."""
    lost: int
    """Reports that came too fast for the agent."""
    forgotten: int
    """Flows no longer kept, for only so many are: those seen longest ago are dropped."""
    flows: list[DeniedFlow]
    """The latest first, those of the question only."""


class DeniedSuggestions(TypedDict):
    """`/v1/denied/suggestions`: what would allow a flow."""

    client: FlowEnd
    """Of a name that stands for several, the first."""
    server: FlowEnd
    """The same."""
    port: str | None
    """As asked: `80/tcp`; null for a protocol without ports."""
    suggestions: list[SuggestedChange]
    """Those that open least else come first."""
    note: str | None
    """Why there are none."""
