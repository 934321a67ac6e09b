"""What `--json` prints that no agent answers: a ruleset's text, and a policy as its file."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class RulesetText(TypedDict):
    """A ruleset of the agent's."""

    which: str
    """Which one: `desired`, `installed` or `difference`."""
    text: str
    """As nft text; of the difference nothing when there is none."""


class PolicyFile(TypedDict):
    """A policy as `plan`, `apply`, `validate` and `test` read it, in the keys of Rancher's network resource."""

    defaultPolicyAction: Any
    """`allow` or `deny` for what no rule matches; null is `allow`. What Rancher holds, even where it is neither."""
    policy: Any
    """The list of rules, of which the first that matches decides; what Rancher holds, even where it is no such list."""
