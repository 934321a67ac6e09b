"""What `/v1/connections` answers: connection tracking on one host, beside the verdicts of the policy."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from corral.documents.denied import FlowEnd


class Connection(TypedDict):
    """The connections of one client to one port of one server that are in one state."""

    client: FlowEnd
    """Who opened them."""
    server: FlowEnd
    """Whom they were opened to, behind any published port."""
    protocol: str
    """`tcp`, `udp`, `icmp`; of another one its number."""
    port: int | None
    """The server's; null where the protocol has none."""
    state: str
    """TCP's, such as `established` or `time_wait`; of other protocols `answered` or `unanswered`."""
    answered: bool
    """Whether the server has answered."""
    open: bool
    """Whether they are at work: answered, and not at their end."""
    count: int
    """How many."""
    client_ports: list[int]
    """The client's port of each; empty where the protocol has none."""
    verdict: Literal["allow", "deny", "not judged"]
    """What the policy says, whether it is enforced or not."""
    decided_by: Literal["rule", "default", "unknown", "system", "outside"]
    """What decides."""
    rule: int | None
    """The index of the deciding rule, if one does."""
    sentence: str
    """The verdict in words."""
    differs: Literal["works, would be denied", "allowed, no answer"] | None
    """Where the verdict and what is seen disagree."""


class Connections(TypedDict):
    """Flows within the managed network whose server is on this host. Other hosts' agents know of theirs."""

    host: str
    """The name of this host, else its uuid."""
    mode: Literal["enforce", "audit", "off"]
    """How the agent runs: whether denied flows are dropped."""
    policy: str
    """The digest of the policy that the verdicts are by."""
    entries: int
    """How many flows the kernel tracks in all, those of others included."""
    truncated: bool
    """Whether there are more entries than `connections` shows."""
    connections: list[Connection]
    """Those with the most first."""
