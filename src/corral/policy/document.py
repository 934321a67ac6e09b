"""A policy as people keep it in files and as Rancher's network resource holds it: two keys of a JSON object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corral.errors import PolicyError
from corral.policy.digest import policy_digest
from corral.policy.rules import Policy
from corral.policy.validate import parse_policy
from corral.types import Problem

KEYS = ("defaultPolicyAction", "policy")


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """Decoded JSON, which need not be a valid policy."""

    policy: object
    default_policy_action: object

    def parse(self) -> Policy:
        """What it means. Raises PolicyError naming every problem."""
        return parse_policy(self.policy, self.default_policy_action)

    @property
    def digest(self) -> str:
        """The policy's digest; for what is no valid policy, one of its text."""
        try:
            return policy_digest(self.parse())
        except PolicyError:
            return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()[:12]

    def as_json(self) -> dict[str, Any]:
        """What `read_document` reads, decoded."""
        return {"defaultPolicyAction": self.default_policy_action, "policy": self.policy}

    def tidied(self) -> PolicyDocument:
        """The same for people: Rancher adds `type` and nulls to each rule, and the metadata may write rules as text."""
        rules = self.policy
        if isinstance(rules, list | tuple):
            rules = [_tidied(_decoded(rule)) for rule in rules]
        return PolicyDocument(rules, self.default_policy_action)

    def as_text(self) -> str:
        """The same as the text of a file."""
        return json.dumps(self.as_json(), indent=2) + "\n"


def read_document(text: str) -> PolicyDocument:
    """Read a file's text. What its rules mean is not looked at. Raises PolicyError, with line and column."""
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise PolicyError([Problem(where, f"this is no JSON: {error.msg}")]) from None
    except (ValueError, RecursionError) as error:
        raise PolicyError([Problem("the file", f"this is no JSON: {error}")]) from None
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else json.dumps(value)[:60]
        raise PolicyError([Problem("the file", f'given {kind}; allowed: an object with "{KEYS[0]}" and "{KEYS[1]}"')])
    unknown = [key for key in value if key not in KEYS]
    if unknown:
        raise PolicyError([Problem(key, f"unknown key; allowed: {', '.join(KEYS)}") for key in unknown])
    if not value:
        raise PolicyError([Problem("the file", f"given an empty object; allowed: {' and '.join(KEYS)}")])
    return PolicyDocument(value.get("policy"), value.get("defaultPolicyAction"))


def _decoded(rule: object) -> object:
    try:
        return json.loads(rule) if isinstance(rule, str) else rule
    except (ValueError, RecursionError):
        return rule


def _tidied(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {key: _tidied(member) for key, member in value.items() if member is not None and key != "type"}


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"the key {json.dumps(key)} is given twice in one object")
        fields[key] = value
    return fields


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number of JSON")
