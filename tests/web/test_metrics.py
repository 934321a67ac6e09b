"""Metrics: names by Prometheus' conventions, values that are asked for."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from corral.daemon.facts import DeniedCounts, Facts, SelfChecks
from corral.daemon.timing import Timing
from corral.types import Problem
from corral.web.metrics import RuleInfo, render_metrics


def families(facts: Facts) -> dict[str, dict[tuple[str, ...], float]]:
    ages = {"metadata": 1.5, "events": None}
    text = render_metrics(facts, {"endpoints": 3}, {"default-deny": (2, 80)}, ages, 100.0)
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


def test_warnings_about_the_policy_are_counted_by_kind() -> None:
    text = render_metrics(Facts(), {}, {}, {}, 100.0, warnings={"shadowed": 2, "no-match": 0}).decode()
    assert 'corral_policy_warnings{kind="shadowed"} 2.0' in text
    assert 'corral_policy_warnings{kind="no-match"} 0.0' in text


def test_latencies_are_histograms_with_growing_buckets() -> None:
    timing = Timing()
    for received in (97.0, 99.9, 99.9999):
        timing.applied(received)
    timing.begin()
    timing.committed(100.0)
    timing.verified(140.0, as_committed=True)
    text = render_metrics(Facts(timing=timing), {}, {}, {}, 150.0)
    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert samples["corral_event_commit_seconds_bucket", "0.00025"] == 1
    assert samples["corral_event_commit_seconds_bucket", "0.25"] == 2
    assert samples["corral_event_commit_seconds_bucket", "5.0"] == 3
    assert samples["corral_event_commit_seconds_bucket", "+Inf"] == 3
    assert samples["corral_event_commit_seconds_count", None] == 3
    assert samples["corral_event_commit_seconds_sum", None] == pytest.approx(3.1001)
    assert samples["corral_commit_verify_seconds_bucket", "30.0"] == 0
    assert samples["corral_commit_verify_seconds_bucket", "60.0"] == 1
    assert samples["corral_verified_age_seconds", None] == 10.0


def test_ages_are_told_from_when_there_is_something_to_tell() -> None:
    found = families(Facts())
    assert not {"corral_event_age_seconds", "corral_snapshot_age_seconds", "corral_verified_age_seconds"} & found.keys()
    facts = Facts(self_checks=SelfChecks(runs=3, differences=2, last=1, last_at=60.0, last_seconds=0.5))
    facts.timing.last_event, facts.timing.last_snapshot = 97.0, 40.0
    found = families(facts)
    assert found["corral_event_age_seconds"] == {(): 3.0}
    assert found["corral_snapshot_age_seconds"] == {(): 60.0}
    assert found["corral_self_checks"] == {(): 3.0}
    assert found["corral_self_check_differences"] == {(): 2.0}
    assert found["corral_last_self_check_differences"] == {(): 1.0}
    assert found["corral_last_self_check_seconds"] == {(): 0.5}
    assert found["corral_self_check_age_seconds"] == {(): 40.0}


def test_names_are_ours() -> None:
    """But for what every Prometheus client tells of its process."""
    assert all(re.fullmatch(r"(corral|process)_[a-z_]+", name) for name in families(Facts(last_commit_seconds=1.0)))


def test_rules_are_told_by_their_counter_the_first_of_equals() -> None:
    rules = [
        RuleInfo("rule-allow-a", "0", "allow", "within stack: allow"),
        RuleInfo("rule-allow-a", "1", "allow", "within stack: allow"),
        RuleInfo("default-deny", "default", "deny", 'a "quoted" text'),
    ]
    text = render_metrics(Facts(), {}, {}, {}, 100.0, rules=rules).decode()
    lines = [line for line in text.splitlines() if line.startswith("corral_rule_info{")]
    assert sorted(lines) == [
        'corral_rule_info{action="allow",counter="rule-allow-a",rule="0",text="within stack: allow"} 1.0',
        'corral_rule_info{action="deny",counter="default-deny",rule="default",text="a \\"quoted\\" text"} 1.0',
    ]


def test_reports_of_denied_packets() -> None:
    facts = Facts(denied=DeniedCounts(listening=True, flows=3, reports={"deny": 5, "audit": 2}, lost=7))
    found = families(facts)
    assert found["corral_denied_listening"] == {(): 1.0}
    assert found["corral_denied_flows"] == {(): 3.0}
    assert found["corral_denied_reports"] == {("deny",): 5.0, ("audit",): 2.0}
    assert found["corral_denied_lost"] == {(): 7.0}
