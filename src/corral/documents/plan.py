"""What `corral policy plan`, `validate` and `test` print with `--json`: a policy before it is in force."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from corral.documents.denied import FlowEnd
from corral.documents.matrix import PolicyWarning


class PlannedRule(TypedDict):
    """A rule that only one of the two policies has."""

    index: int
    """Its place in its own policy."""
    text: str
    """The rule in words."""


class PlannedDecision(TypedDict):
    """What decides about a flow under one of the two policies."""

    decided_by: Literal["rule", "default", "system", "unknown", "outside"]
    """What settles it."""
    rule: int | None
    """The index of the deciding rule in that policy."""
    text: str
    """The same in words, the rule as it is written."""


class PlannedReason(TypedDict):
    """Why pairs change, and how many for that reason."""

    ports: str
    """`any`, `tcp 80`, `any but tcp 80`."""
    before: PlannedDecision
    """What decides now."""
    after: PlannedDecision
    """What would decide."""
    pairs: int
    """How many pairs of parties (services, standalone containers)."""
    endpoint_pairs: int
    """How many pairs of endpoints."""


class PlannedGroup(TypedDict):
    """Pairs from one stack to another that change for the same reason."""

    client: str | None
    """The stack of the clients; null for those that are in none."""
    server: str | None
    """The stack of the servers."""
    ports: str
    """`any`, `tcp 80`, `any but tcp 80`."""
    before: PlannedDecision
    """What decides now."""
    after: PlannedDecision
    """What would decide."""
    pairs: int
    """How many pairs of parties (services, standalone containers)."""
    endpoint_pairs: int
    """How many pairs of endpoints."""


class PlannedPair(TypedDict):
    """One pair of parties."""

    client: str
    """The party that opens flows."""
    server: str
    """The party that they are opened to."""
    ports: str
    """As of a group."""
    before: PlannedDecision
    """What decides now."""
    after: PlannedDecision
    """What would decide."""
    endpoint_pairs: int
    """How many pairs of endpoints; fewer than there are where labels or links differ within a party."""


class PlannedSide(TypedDict):
    """All that opens, or all that closes."""

    pairs: int
    """How many pairs of parties, each counted once."""
    endpoint_pairs: int
    """How many pairs of endpoints."""
    reasons: list[PlannedReason]
    """Why, those of most pairs first; a pair counts for each reason that changes some of its ports."""
    groups: list[PlannedGroup]
    """By stacks and reason, those of most pairs first."""
    groups_left_out: int
    """How many more groups there are."""
    examples: list[PlannedPair]
    """The pairs one by one."""
    examples_left_out: int
    """How many more there are."""


class CarriedTraffic(TypedDict):
    """A pair that would close, and that connection tracking still knows flows of."""

    client: str
    """The party that opened them."""
    server: str
    """The party that they were opened to."""
    protocol: str
    """`tcp`, `udp`, `icmp`; of another one its number."""
    port: int | None
    """The server's."""
    flows: int
    """How many flows are known."""
    open: int
    """How many of them are open, and would be cut."""


class CutConnection(TypedDict):
    """An open connection that would be cut."""

    client: FlowEnd
    """Who opened it."""
    client_port: int | None
    """Its port; null where the protocol has none."""
    server: FlowEnd
    """Whom it was opened to."""
    port: int | None
    """The server's port."""
    protocol: str
    """`tcp`, `udp`, `icmp`; of another one its number."""
    state: str
    """As connection tracking calls it."""
    host: str
    """The host that knows it, which is the server's."""


class RuleTraffic(TypedDict):
    """What now lets flows pass that would be closed, by one host's counters: these count for all that it decides."""

    rule: int | None
    """The index of the rule now; null for the default action."""
    text: str
    """The rule in words."""
    host: str
    """Whose counter."""
    packets: int
    """Since the counter began."""
    last_hit: str | None
    """When it counted last, RFC 3339; null where that is not known."""


class AskedAgent(TypedDict):
    """An agent whose connections and counters are in the plan."""

    agent: str
    """Where it was asked, `host:port`."""
    host: str
    """The host that it runs on."""
    mode: str | None
    """`enforce`, `audit` or `off`; null where it does not tell."""
    entries: int | None
    """How many flows the kernel tracks there; null where it does not tell."""


class PlanDocument(TypedDict):
    """What would change if one policy were replaced by another, in the environment as it is now."""

    network: str | None
    """The name of the managed network."""
    before: str
    """The digest of the policy that the plan begins with; `corral policy apply --expect` takes it."""
    before_from: str
    """Where that policy is from: Rancher, an agent, a file."""
    after: str
    """The digest of the policy that would be applied."""
    default_before: str
    """`allow`, `deny` or `not set (allow)`."""
    default_after: str
    """The same of the other policy."""
    rules_added: list[PlannedRule]
    """Rules that are new."""
    rules_removed: list[PlannedRule]
    """Rules that go."""
    opened: PlannedSide
    """What is allowed only afterwards."""
    closed: PlannedSide
    """What is allowed only before."""
    carried: list[CarriedTraffic]
    """What would close and carried traffic of late."""
    rules_hit: list[RuleTraffic]
    """Rules (or the default action) that let pass what would close, and have counted packets."""
    cut: list[CutConnection]
    """Open connections that would be cut."""
    cut_left_out: int
    """How many more there are."""
    warnings: list[PolicyWarning]
    """What in the new policy is probably not meant so."""
    asked: list[AskedAgent]
    """Whose connections and counters are known."""
    not_known: list[str]
    """What the plan can not tell, and why."""


class PolicyProblem(TypedDict):
    """Something in a policy that can not be accepted."""

    where: str
    """The rule and field, or line and column of the file."""
    message: str
    """What was given, and what is allowed."""


class PolicyCheck(TypedDict):
    """What `corral policy validate --json` prints."""

    valid: bool
    """Whether agents would accept it."""
    digest: str | None
    """Names the policy by its meaning; null where it has none."""
    default: str | None
    """`allow`, `deny` or `not set (allow)`."""
    rules: list[str]
    """The rules in words, by index."""
    problems: list[PolicyProblem]
    """Why it is not valid."""
    warnings: list[PolicyWarning]
    """What is probably not meant so; none without an environment to look at."""


class FormerPolicy(TypedDict):
    """A policy that was replaced."""

    number: int
    """What `--to` takes; the latest is 1."""
    replaced_at: str
    """When, RFC 3339."""
    digest: str
    """Names the policy by its meaning."""
    file: str
    """Where it is kept."""


class FormerPolicies(TypedDict):
    """What `corral policy rollback --list --json` prints."""

    network: str
    """The uuid of the network."""
    former: list[FormerPolicy]
    """The latest first."""


class FailedExpectation(TypedDict):
    """An expectation that does not hold."""

    index: int
    """Its place in the file."""
    expected: str
    """The expectation in words."""
    client: str
    """The client of one flow that it does not hold for."""
    server: str
    """The server of that flow."""
    port: str | None
    """Its port, such as `80/tcp`; null for protocols without ports."""
    verdict: Literal["allow", "deny"]
    """What becomes of it."""
    flows: int
    """How many flows the expectation does not hold for."""
    sentence: str
    """Why."""


class PolicyTest(TypedDict):
    """What `corral policy test --json` prints."""

    expectations: int
    """How many were tested."""
    failures: list[FailedExpectation]
    """Those that do not hold."""
