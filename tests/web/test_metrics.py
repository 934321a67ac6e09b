"""Metrics: names by Prometheus' conventions, values that are asked for."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from corral.daemon.facts import Facts
from corral.types import Problem
from corral.web.metrics import render_metrics


def families(facts: Facts) -> dict[str, dict[tuple[str, ...], float]]:
    text = render_metrics(facts, {"endpoints": 3}, {"default-deny": (2, 80)}, {"metadata": 1.5, "events": None})
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text.decode())
    }


def test_values() -> None:
    facts = Facts(commits=4, failed_commits=1, repairs=2, last_commit_seconds=0.25)
    found = families(facts)
    assert found["corral_ready"] == {(): 0.0}
    assert found["corral_commits"] == {(): 4.0}
    assert found["corral_failed_commits"] == {(): 1.0}
    assert found["corral_repairs"] == {(): 2.0}
    assert found["corral_last_commit_seconds"] == {(): 0.25}
    assert found["corral_inventory_objects"] == {("endpoints",): 3.0}
    assert found["corral_rule_packets"] == {("default-deny",): 2.0}
    assert found["corral_rule_bytes"] == {("default-deny",): 80.0}
    assert found["corral_source_age_seconds"] == {("metadata",): 1.5}


def test_a_rejected_policy_shows() -> None:
    assert families(Facts())["corral_policy_rejected"] == {(): 0.0}
    rejected = Facts(policy_problems=(Problem("policy[0]", "wrong"),))
    assert families(rejected)["corral_policy_rejected"] == {(): 1.0}


def test_names_are_ours() -> None:
    assert all(re.fullmatch(r"corral_[a-z_]+", name) for name in families(Facts(last_commit_seconds=1.0)))
