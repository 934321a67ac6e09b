"""What `corral doctor --json` prints."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

Outcome = Literal["ok", "warning", "problem", "unknown"]


class Check(TypedDict):
    """One thing that was looked at. A check that finds several things is there once for each."""

    check: str
    """What was looked at: always the same words for the same check."""
    outcome: Outcome
    """`problem` is what keeps corral from enforcing the policy, `unknown` what could not be looked at."""
    found: str
    """A sentence about what was found."""
    remedy: str | None
    """A sentence about what to do; null where nothing is to be done."""


class Examination(TypedDict):
    """All checks, in the order in which they are best mended."""

    version: str
    """The version of the corral that has looked, which may be another than the agent's."""
    at: str
    """When it looked."""
    problems: int
    """How many checks found a problem; with none of them the exit status is 0."""
    checks: list[Check]
    """One entry for each thing found."""
