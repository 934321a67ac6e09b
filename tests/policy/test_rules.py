from __future__ import annotations

import pytest

from corral.policy.rules import Between, Form, FromTo, GroupBy, Ports, Rule, Scope, Within
from corral.selector import Selector
from corral.types import Action, Protocol

A, B = Selector.parse("a=b"), Selector.parse("c")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Within(Scope.LINKED), "within linked"),
        (GroupBy("dept"), "between groupBy dept"),
        (Between(A), "between selector a=b"),
        (FromTo(A, B), "from a=b to c"),
        (
            FromTo(A, B, (Ports(80, 80), Ports(8000, 8080, Protocol.TCP))),
            "from a=b to c ports 80, 8000-8080/tcp",
        ),
    ],
)
def test_a_rule_reads_as_it_is_meant(form: Form, text: str) -> None:
    assert str(Rule(form, Action.DENY)) == f"{text}: deny"
