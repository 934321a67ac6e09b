"""The shapes of denied flows. Real answers are checked where they are made: tests/web/test_denied.py."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.documents.denied import DeniedFlow

from .checking import check

END = {"name": None, "address": "10.42.0.3", "party": "10.42.0.3"}
FLOW = {
    "client": END,
    "server": END,
    "protocol": "tcp",
    "port": 80,
    "verdict": "audit",
    "decided_by": "unknown",
    "rule": None,
    "rule_text": None,
    "sentence": "let through",
    "answered": False,
    "count": 1,
    "first": "2026-11-23T02:35:15.123Z",
    "last": "2026-11-23T02:35:15.123Z",
}


def test_a_flow() -> None:
    check(DeniedFlow, FLOW)


@pytest.mark.parametrize("wrong", [{"verdict": "allow"}, {"port": "80"}, {"client": None}, {"more": 1}])
def test_what_is_none(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        check(DeniedFlow, FLOW | wrong)
