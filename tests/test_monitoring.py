"""The dashboard and the alerts speak of metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml

MONITORING = Path(__file__).parents[1] / "docs" / "monitoring"
HTTP = (MONITORING.parent / "http.md").read_text()
GRAFANA = {"$__rate_interval": "5m", "$job": "corral", "$instance": ".*"}


def alerts() -> dict[str, str]:
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


def panels() -> dict[str, str]:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }


@pytest.mark.parametrize("expression", [*alerts().values(), *panels().values()])
def test_expressions_are_promql_about_metrics_that_are_documented(expression: str) -> None:
    for variable, value in GRAFANA.items():
        expression = expression.replace(variable, value)
    promql_parser.parse(expression)
    documented = set(re.findall(r"`(corral_[a-z_]+)", HTTP))
    named = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bcorral_[a-z_]+", expression)}
    assert named - documented == set()


def test_alerts_are_documented() -> None:
    page = (MONITORING.parent / "monitoring.md").read_text()
    assert {name for name in alerts() if f"`{name}`" not in page} == set()
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    assert all({"summary", "description"} <= rule["annotations"].keys() for group in groups for rule in group["rules"])
