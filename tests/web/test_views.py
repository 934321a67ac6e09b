"""The report is what the health endpoint asks for."""

from __future__ import annotations

import inspect

from corral.daemon.answers.report import Report
from corral.web.views import AgentView, Which


def test_the_report_implements_the_view() -> None:
    asked = {name for name, _ in inspect.getmembers(AgentView, inspect.isfunction) if not name.startswith("_")}
    assert asked == {"health", "state", "policy", "ruleset", "metrics"}
    for name in asked:
        assert inspect.signature(getattr(Report, name)) == inspect.signature(getattr(AgentView, name))


def test_rulesets_are_named_as_the_commands_name_them() -> None:
    assert list(Which) == ["desired", "installed", "difference"]
