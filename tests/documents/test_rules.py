"""`/v1/rules` has the documented shape."""

from __future__ import annotations

from corral.daemon.answers.matrix import MatrixReport
from corral.daemon.rulehits import RuleHitsReport
from corral.dataplane.fake import FakeDataplane
from corral.documents.rules import Rules

from ..daemon.running import desk_of, small_environment
from .checking import check


async def test_with_and_without_counts() -> None:
    environment = small_environment()
    environment.set_policy([{"between": {"selector": "nobody=here"}, "action": "allow"}], None)
    desk, dataplane = desk_of(environment), FakeDataplane()
    report = RuleHitsReport(desk, dataplane, "enforce", MatrixReport(desk))
    answer = await report.rules()
    check(Rules, answer)
    assert answer["warnings"]
    assert answer["rules"][0]["warnings"]
