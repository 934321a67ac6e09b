"""What the doctor has seen, before it is judged. Only values here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from corral.dataplane.bridge import BridgeFiltering
from corral.dataplane.host.sysctls import Redirects, Tracking
from corral.dataplane.host.trial import Inability
from corral.nft.foreign import ForeignChain

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be looked at, and why."""

    why: str


Maybe: TypeAlias = Seen | Unread


@dataclass(frozen=True, slots=True)
class TableSeen:
    """Corral's table: its chains with a hook, what in it corral never wrote, and whether it drops anything."""

    base_chains: int
    alien: tuple[str, ...] = ()
    drops: bool = True


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """How a source of the agent is doing; `age` in seconds since it last said anything."""

    connected: bool
    age: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """What the agent says of itself. `events` is None for an agent without credentials."""

    version: str
    ready: bool
    mode: str
    reasons: tuple[str, ...]
    metadata: SourceSeen
    events: SourceSeen | None


@dataclass(frozen=True, slots=True)
class PolicySeen:
    """The policy that Rancher tells. `is_set`: there is a default action or a rule."""

    is_set: bool
    default: str
    rules: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkSeen:
    """The managed network."""

    name: str
    bridge: str
    subnets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApiSeen:
    """Rancher's API. `error` is None when it takes our credentials; `clock` is its time, in seconds since the epoch."""

    url: str
    error: str | None
    clock: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All of it. `agent` is None when none answers, `api` without credentials, `table` when there is none.

    `network` and `policy` are None when nobody could tell. `now` is in seconds since the epoch.
    """

    now: float
    settings_error: str | None = None
    privileged: bool | None = True
    privilege_remedy: str = ""
    inabilities: Maybe[tuple[Inability, ...]] = ()
    table: Maybe[TableSeen | None] = None
    agent: Maybe[AgentSeen | None] = None
    metadata: Maybe[None] = None
    network: NetworkSeen | None = None
    policy: PolicySeen | None = None
    api: ApiSeen | None = None
    bridge: Maybe[BridgeFiltering | None] = None
    forwarding: bool | None = True
    chains: Maybe[tuple[ForeignChain, ...]] = ()
    tables: Maybe[tuple[tuple[str, str], ...]] = ()
    ipsets: Maybe[tuple[str, ...]] = ()
    tracking: Tracking | None = None
    redirects: Redirects | None = None
