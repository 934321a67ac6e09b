"""What Rancher's API checks of a policy before it accepts it: the shape, not the selectors and ports."""

from __future__ import annotations

from dataclasses import dataclass

ACTIONS = ("allow", "deny")
SCOPES = ("stack", "service", "linked")


@dataclass(frozen=True, slots=True)
class Fault:
    """The fields of an error answer."""

    code: str
    message: str
    field: str


def find_fault(body: object) -> Fault | None:
    """The first thing that the API would refuse, or None."""
    if not isinstance(body, dict):
        return Fault("InvalidBodyContent", "an object is required", "")
    if body.get("defaultPolicyAction") not in (*ACTIONS, None):
        return Fault("InvalidOption", f"{body['defaultPolicyAction']!r} is none of {ACTIONS}", "defaultPolicyAction")
    rules = body.get("policy") or []
    if not isinstance(rules, list):
        return Fault("InvalidType", "a list is required", "policy")
    return next(filter(None, (_rule_fault(number, rule) for number, rule in enumerate(rules))), None)


def _rule_fault(number: int, rule: object) -> Fault | None:
    where = f"policy[{number}]"
    if not isinstance(rule, dict):
        return Fault("InvalidType", f"{where}: an object is required", "policy")
    if rule.get("action") not in ACTIONS:
        return Fault("InvalidOption", f"{where}: action {rule.get('action')!r} is none of {ACTIONS}", "policy.action")
    if rule.get("within") not in (*SCOPES, None):
        return Fault("InvalidOption", f"{where}: within {rule['within']!r} is none of {SCOPES}", "policy.within")
    forms = [name for name in ("within", "between", "from") if rule.get(name)]
    if len(forms) != 1:
        return Fault("InvalidOption", f"{where}: exactly one of within, between and from is required", "policy")
    return None
