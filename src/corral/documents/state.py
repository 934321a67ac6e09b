"""`/healthz`, `/readyz`, `/v1/state` and `/v1/policy`: what the agent knows, enforces and waits for."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from corral.documents.hosts import HostCounts

Status = Literal["starting", "ready", "degraded"]
Mode = Literal["enforce", "audit", "off"]


class Health(TypedDict):
    """`/healthz` and `/readyz`."""

    status: Status
    """`degraded` is also said of an agent that enforces, but lacks something, such as the event stream."""
    mode: Mode
    """`CORRAL_MODE`: in `audit`, ready means that all that would be denied is told, not that it is denied."""
    reasons: list[str]
    """Sentences; empty when all is well."""


class PolicyProblem(TypedDict):
    """A fault of a policy that was rejected."""

    where: str
    """The rule and field, such as `policy[2].ports`."""
    message: str
    """What was given and what is allowed."""


class PolicyInForce(TypedDict):
    """`/v1/policy`: the last good policy, and why a newer one is not in force."""

    in_force: bool
    """Whether the kernel holds it: false while it is on its way, in doubt, or suspended."""
    digest: str | None
    """Names a policy by its meaning; null while no good one is known."""
    default: str | None
    """The default action in words."""
    rules: list[str]
    """The rules in words, in order."""
    problems: list[PolicyProblem]
    """Of the newest policy, where that was rejected."""


class ThisHost(TypedDict):
    """The host that the agent runs on."""

    uuid: str
    """The metadata's uuid; empty while it is not known."""
    name: str | None
    """As Rancher calls it."""


class ManagedNetworkState(TypedDict):
    """The network whose policy is enforced."""

    name: str
    """As Rancher calls it."""
    uuid: str
    """The metadata's uuid."""
    bridge: str
    """The bridge of this host."""
    subnets: list[str]
    """What is judged: flows between their addresses."""
    others: list[str]
    """Networks that could have been meant, too."""


class InventoryState(TypedDict):
    """Numbers of objects."""

    hosts: int
    """Linked environments' included, as below."""
    stacks: int
    """Stacks."""
    services: int
    """Services and sidekicks."""
    containers: int
    """Containers, live or not, on any network."""
    endpoints: int
    """Addresses of the managed network with a live container."""
    local_endpoints: int
    """Those of this host, system ones included."""
    system_endpoints: int
    """Those that policy does not judge, on all hosts."""


class SourceState(TypedDict):
    """How a source is doing. Times are ages in seconds."""

    connected: bool
    """Whether the last thing that it did was a success."""
    since: float
    """For how long it has been so."""
    last_success: float | None
    """How long ago it last said anything; null if it never did."""
    last_error: str | None
    """What was wrong last; null if nothing was since it connected."""
    failures: int
    """In a row."""


class KernelState(TypedDict):
    """What was written to the kernel."""

    programmed: bool
    """Whether the kernel holds all that is wanted at this moment; `/readyz` gives a change of containers a second."""
    pending: bool
    """Whether something is to be committed, or being committed."""
    garbage: bool
    """Whether something is there that nothing refers to any more; it goes in a quiet moment."""
    commits: int
    """Transactions that the kernel took."""
    failed_commits: int
    """Transactions that it refused, or did not confirm."""
    repairs: int
    """Differences found and mended."""
    last_repair: str | None
    """What was wrong then."""
    verified_age_seconds: float | None
    """Since the table was read back and was as committed."""
    last_commit_age_seconds: float | None
    """Since the last transaction."""
    last_commit_seconds: float | None
    """How long it took."""


class SelfCheckState(TypedDict):
    """Comparisons of what is wanted with what it would be from scratch."""

    runs: int
    """How many there were."""
    age_seconds: float | None
    """Since the last one."""
    seconds: float | None
    """How long it took."""
    differences: int
    """What it found."""
    differences_ever: int
    """What all of them found."""


class State(TypedDict):
    """`/v1/state`, which `corral status` shows."""

    version: str
    """Of corral."""
    mode: Mode
    """`CORRAL_MODE`."""
    status: Status
    """As `/readyz` says it."""
    reasons: list[str]
    """As `/readyz` gives them."""
    help: list[str]
    """For each of `reasons` the page and heading of the documentation that say more, as in their address."""
    host: ThisHost
    """Where it runs."""
    network: ManagedNetworkState | None
    """What it manages; null while that is not known."""
    policy: PolicyInForce
    """What it enforces."""
    inventory: InventoryState
    """What it knows."""
    hosts: HostCounts
    """Where other agents run, as far as it can know."""
    sources: dict[str, SourceState]
    """`metadata`, and with credentials `events`."""
    kernel: KernelState
    """What it wrote."""
    self_check: SelfCheckState
    """How it checks itself."""
