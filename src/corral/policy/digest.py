"""A short name for a policy, by its meaning."""

from __future__ import annotations

import hashlib

from corral.policy.rules import Policy


def policy_digest(policy: Policy) -> str:
    """Names a policy by its meaning: equal policies have equal digests, however they were written."""
    # Not `str`: a label may hold anything, and could read like rules of its own.
    text = "\n".join([f"default {policy.default}", *map(repr, policy.rules)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
