"""A policy as values: what `validate.parse_policy` yields and the verdict and the compiler read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from corral.selector import Selector
from corral.types import Action, Protocol


class Scope(StrEnum):
    """What both ends have in common in a `within` rule."""

    STACK = "stack"
    SERVICE = "service"
    LINKED = "linked"


@dataclass(frozen=True, slots=True)
class Within:
    """Both ends share a stack or a service, or the client links to the server (directed)."""

    scope: Scope

    def __str__(self) -> str:
        return f"within {self.scope}"


@dataclass(frozen=True, slots=True)
class GroupBy:
    """Both ends carry the label with the same value, compared exactly."""

    label: str

    def __str__(self) -> str:
        return f"between groupBy {self.label}"


@dataclass(frozen=True, slots=True)
class Between:
    """Both ends match the selector."""

    selector: Selector

    def __str__(self) -> str:
        return f"between selector {self.selector}"


@dataclass(frozen=True, slots=True, order=True)
class Ports:
    """A range of server ports, ends included; no `protocol` means TCP and UDP."""

    first: int
    last: int
    protocol: Protocol | None = None

    def __str__(self) -> str:
        number = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{number}/{self.protocol}" if self.protocol else number


@dataclass(frozen=True, slots=True)
class FromTo:
    """Directed. No `ports` means any protocol, ICMP included."""

    client: Selector
    server: Selector
    ports: tuple[Ports, ...] = ()

    def __str__(self) -> str:
        ports = f" ports {', '.join(map(str, self.ports))}" if self.ports else ""
        return f"from {self.client} to {self.server}{ports}"


Form = Within | GroupBy | Between | FromTo


@dataclass(frozen=True, slots=True)
class Rule:
    """A form and what happens to the flows that match it."""

    form: Form
    action: Action

    def __str__(self) -> str:
        return f"{self.form}: {self.action}"


@dataclass(frozen=True, slots=True)
class Policy:
    """An ordered list of rules and a default; `default_is_set` is False when Rancher said nothing (allow)."""

    rules: tuple[Rule, ...] = ()
    default: Action = Action.ALLOW
    default_is_set: bool = False

    @property
    def default_in_words(self) -> str:
        """`allow`, `deny`, or that Rancher said nothing."""
        return str(self.default) if self.default_is_set else "not set (allow)"


# In force while the policy is suspended.
OPEN = Policy(default=Action.ALLOW)
