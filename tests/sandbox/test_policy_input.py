from __future__ import annotations

import pytest

from corral.sandbox.policy_input import find_fault
from corral.sandbox.scenarios import SCENARIOS

STACK = {"within": "stack", "action": "allow"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], ""),
        ({"defaultPolicyAction": "maybe"}, "defaultPolicyAction"),
        ({"policy": {}}, None),
        ({"policy": "text"}, "policy"),
        ({"policy": ["text"]}, "policy"),
        ({"policy": [STACK, {**STACK, "action": None}]}, "policy.action"),
        ({"policy": [{**STACK, "within": "house"}]}, "policy.within"),
        ({"policy": [{**STACK, "between": {"groupBy": "a"}}]}, "policy"),
        ({"policy": [{"action": "allow"}]}, "policy"),
        ({"policy": [STACK], "defaultPolicyAction": "deny"}, None),
        ({"policy": None, "defaultPolicyAction": None}, None),
        # Rancher looks at neither selectors nor ports.
        ({"policy": [{"from": {"selector": "(("}, "to": {}, "ports": ["x"], "action": "allow"}]}, None),
    ],
)
def test_what_the_api_refuses(body: object, field: str | None) -> None:
    fault = find_fault(body)
    assert (fault.field if fault else None) == field


def test_the_fault_names_the_rule() -> None:
    fault = find_fault({"policy": [STACK, {"within": "stack"}]})
    assert fault is not None
    assert "policy[1]" in fault.message


def test_the_policies_of_the_demo_are_accepted() -> None:
    for scenario in SCENARIOS:
        assert find_fault({"policy": list(scenario.rules), "defaultPolicyAction": scenario.default}) is None
