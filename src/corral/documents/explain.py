"""The shape of `/v1/explain`: may A reach B, and why."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

ExplainedVerdict = Literal["allow", "deny", "not judged"]


class ExplainedEnd(TypedDict):
    """One end of a flow."""

    name: str
    """`stack/service/container`, or as much of it as is known."""
    address: str
    """IPv4."""
    party: str | None
    """The primary service, the standalone container or the address; null for what is no known endpoint."""


class ExplainedStep(TypedDict):
    """A rule that was considered, up to the one that decides."""

    rule: int
    """Its index in the policy."""
    text: str
    """The rule in corral's words."""
    matched: bool
    """Whether it matches the flow."""
    why: str
    """Why it does, or does not."""


class EnforcementPlace(TypedDict):
    """A host whose agent enforces the verdict: that of the server."""

    host: str | None
    """Its name; null where the server is no known endpoint, for then every host that the packets pass enforces."""
    uuid: str | None
    """Its uuid in the metadata."""
    here: bool
    """Whether it is the host of the agent that answers (or that wrote the topology)."""
    servers: int
    """How many of the servers are there."""
    programmed: bool | None
    """Whether the kernel there holds the present policy for all of them; null where that is not known here."""
    since: str | None
    """Since when; null where it is not, or not known."""
    agent: str | None
    """What the map of the hosts says of the agent there (see `/v1/hosts`); null where that is not known."""
    sentence: str
    """The same in words."""


class ExplainedFlow(TypedDict):
    """One answer, with the first flow that it was given for."""

    client: ExplainedEnd
    """Who opens the flow."""
    server: ExplainedEnd
    """To whom."""
    protocol: Literal["tcp", "udp", "icmp"]
    """`icmp` stands for all protocols without ports."""
    port: int | None
    """The server's port."""
    verdict: ExplainedVerdict
    """What the policy says."""
    decided_by: Literal["rule", "default", "system", "unknown", "outside"]
    """What settled it: a rule, the default action, a system endpoint, an unknown address, an outside one."""
    rule: int | None
    """The index of the deciding rule, if one decided."""
    rule_text: str | None
    """That rule in corral's words."""
    rule_json: Any
    """That rule as Rancher has it, without nulls and `type`; null where no rule decides."""
    sentence: str
    """The verdict in words."""
    steps: list[ExplainedStep]
    """Why each earlier rule does not match."""
    enforced: list[EnforcementPlace]
    """Where; nothing for what is not judged, and for system endpoints, which nobody judges."""
    enforced_here: bool
    """Whether one of them is the host of the agent that answers."""
    count: int
    """How many flows of the question have this answer."""


class ExplainedDirection(TypedDict):
    """All flows of the question, one way."""

    verdict: ExplainedVerdict
    """`deny` if any is denied; else `allow` if any is allowed."""
    flows: list[ExplainedFlow]
    """One for each distinct answer."""


class PublishedNote(TypedDict):
    """A port of the server that can be reached through its host, too."""

    container: str
    """The container's name."""
    host: str
    """The name of the host."""
    address: str
    """The host's address that it is bound to; empty for all of them."""
    public: int
    """The host's port."""
    private: int
    """The container's port."""
    protocol: Literal["tcp", "udp"]
    """Of both."""
    sentence: str
    """What that means for the policy."""


class SuggestedChange(TypedDict):
    """A change that would allow the flow."""

    sentence: str
    """What to do."""
    rule: Any
    """The rule to add, as JSON; null where a link is enough."""
    index: int | None
    """Where to put it."""
    also_opens: list[str]
    """Other pairs that it would open, the first few."""
    also_opens_pairs: int
    """How many in all."""


class Explanation(TypedDict):
    """The answer to one question."""

    client: str
    """As asked."""
    server: str
    """As asked."""
    port: str | None
    """As asked."""
    mode: str
    """`enforce`, `audit` (nothing is dropped: what would be denied is only reported) or `off`."""
    policy: str
    """The digest of the policy."""
    verdict: ExplainedVerdict
    """That of the question's own direction."""
    flows: list[ExplainedFlow]
    """One for each distinct answer."""
    reverse: ExplainedDirection
    """The same question the other way round: may the server open a flow to that port of the client?"""
    replies: str
    """What becomes of the replies."""
    notes: list[str]
    """What is peculiar about the names: stopped containers, addresses that two containers claim, suspended policy."""
    published: list[PublishedNote]
    """Published ports of the servers that the question is about."""
    suggestions: list[SuggestedChange]
    """Changes that would allow what is denied, best first."""


class Names(TypedDict):
    """`/v1/names?begin=…`: what a question may name, for the completion of shells."""

    names: list[str]
    """Services and containers whose names begin so, in order; at most 100."""
