"""The shape of `/v1/rules`: what each rule of the policy and the default action decided here, and when last."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class Hits(TypedDict):
    """What a counter of the kernel counted. Packets of a flow count in both directions."""

    text: str
    """The rule in corral's words, or what else is counted."""
    action: Literal["allow", "deny"]
    """What becomes of the packets; in audit mode what is denied passes all the same."""
    counter: str
    """The name of the counter in the table; rules with the same text share one."""
    packets: int
    """Counted by the kernel since the counter was made: it outlives restarts of the agent and changes of the policy
    that leave the rule as it is. Never less than it was, while the agent runs."""
    bytes: int
    """The same, in bytes."""
    last_hit: str | None
    """When the count was last seen to grow, within ten seconds; null if it was not since the agent started."""


class RuleHits(TypedDict):
    """What a rule decided."""

    index: int
    """Its index in the policy."""
    text: str
    """See `Hits`."""
    action: Literal["allow", "deny"]
    """See `Hits`."""
    counter: str
    """See `Hits`."""
    packets: int
    """See `Hits`."""
    bytes: int
    """See `Hits`."""
    last_hit: str | None
    """See `Hits`."""
    warnings: list[str]
    """What is probably not meant, such as a selector that matches nothing."""


class Rules(TypedDict):
    """The policy that is in force on this host, by what it did."""

    policy: str
    """The digest of the policy."""
    mode: str
    """`enforce`, `audit` or `off`."""
    since: str
    """When the agent began to watch the counters: nothing is known of the times before."""
    sampled: str | None
    """When they were read last; null if they never were."""
    rules: list[RuleHits]
    """In the order of the policy."""
    default: Hits
    """The default action."""
    others: list[Hits]
    """What is dropped without a rule: packets without a flow, IPv6 between containers."""
    warnings: list[str]
    """What is probably not meant in the policy as a whole."""
