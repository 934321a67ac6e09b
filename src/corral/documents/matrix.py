"""What `/v1/matrix` and `/v1/warnings` answer: who may talk to whom, and what in the policy is probably not meant."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class MatrixParty(TypedDict):
    """What people call an endpoint, or several: a row and a column of the matrix."""

    name: str
    """The primary service as `stack/service` (several joined by ` + `), else the container's name, else the address."""
    stack: str | None
    """The name of its stack; null for what is in none."""
    system: bool
    """Whether these are system endpoints, which may talk to everyone and everyone to them."""
    endpoints: int
    """How many endpoints it has."""
    local_endpoints: int
    """How many of them are on the agent's host."""
    labels: dict[str, list[str]]
    """The values of each label that its containers carry, without Rancher's own; of each key the first few values."""


class PortDecision(TypedDict):
    """What holds for some ports."""

    ports: str
    """`any`, `tcp 80`, `tcp 8000-8080, udp 53`, `any other` (than those of the other entries)."""
    verdict: Literal["allow", "deny"]
    """What happens to a new flow to these ports."""
    decided_by: Literal["system", "rule", "default"]
    """What decides."""
    rule: int | None
    """The index of the deciding rule, if one does."""
    sentence: str
    """The same in words, the rule as it is written."""
    partly: bool
    """Whether this holds only for some of the endpoints, because labels or links differ among those of one name."""


class MatrixDecision(TypedDict):
    """What holds between two parties; many cells share one."""

    verdict: Literal["allow", "deny", "mixed"]
    """`mixed`: it depends on the ports, or on which endpoint of the party it is."""
    ports: list[PortDecision]
    """One entry for all ports that are decided alike."""


class MatrixDocument(TypedDict):
    """Who may talk to whom, by parties."""

    policy: str
    """The digest of the policy in force."""
    rules: list[str]
    """The rules in words, by index."""
    default: Literal["allow", "deny"]
    """The default action."""
    parties: list[MatrixParty]
    """In the order of their names."""
    decisions: list[MatrixDecision]
    """Each kind of cell once."""
    cells: list[list[int]]
    """`cells[client][server]` is an index of `decisions`; client and server are indices of `parties`."""


class PolicyWarning(TypedDict):
    """Something in the policy that is probably not meant so, in this environment."""

    kind: str
    """`no-match`, `shadowed`, `unknown-label`, `unknown-value`, `letter-case`, `all-different`, `no-links` or
    `no-default`."""
    rule: int | None
    """The index of the rule; null for the policy as a whole."""
    sentence: str
    """What is strange."""
    remedy: str
    """What to do about it."""


class WarningsDocument(TypedDict):
    """The warnings about the policy in force."""

    policy: str
    """The digest of the policy."""
    warnings: list[PolicyWarning]
    """In the order of the rules."""
