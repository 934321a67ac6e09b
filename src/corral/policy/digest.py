"""A short name for a policy, by its meaning."""

from __future__ import annotations

import hashlib

from corral.policy.rules import Policy


def policy_digest(policy: Policy) -> str:
    """Names a policy by its meaning: equal policies have equal digests, however they were written."""
    # A label may hold anything: with line ends it could read like rules of its own.
    rules = [str(rule).replace("\\", "\\\\").replace("\n", "\\n") for rule in policy.rules]
    text = "\n".join([f"default {policy.default}", *rules])
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]  # JSON can carry half a pair
