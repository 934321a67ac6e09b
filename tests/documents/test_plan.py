"""The shapes of plans, checks and tests of policies (tests/policy and tests/cli have real ones)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from corral.documents.plan import PlanDocument, PolicyCheck, PolicyTest

from ..daemon.answers.test_plan import planned
from .checking import check


@pytest.mark.parametrize("change", [{"network": 7}, {"opened": []}, {"cut_left_out": None}, {"more": 1}])
def test_another_plan_has_not_the_shape(change: dict[str, Any]) -> None:
    document = planned()
    check(PlanDocument, document)
    with pytest.raises(ValidationError):
        check(PlanDocument, {**document, **change})


def test_checks_and_tests() -> None:
    valid = {"valid": True, "digest": "fd4436eb6d81", "default": "deny", "rules": [], "problems": [], "warnings": []}
    check(PolicyCheck, valid)
    with pytest.raises(ValidationError):
        check(PolicyCheck, valid | {"valid": "yes"})
    check(PolicyTest, {"expectations": 3, "failures": []})
    with pytest.raises(ValidationError):
        check(PolicyTest, {"expectations": 3, "failures": [{}]})
