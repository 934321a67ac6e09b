"""Prometheus metrics, gathered when asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

import corral

NO_HOSTS: Mapping[str, int] = MappingProxyType({})
NO_WARNINGS: Mapping[str, int] = MappingProxyType({})


class Distribution(Protocol):
    """`counts` has one entry for each bound, and one for what is above the last."""

    @property
    def bounds(self) -> Sequence[float]: ...
    @property
    def counts(self) -> Sequence[int]: ...
    @property
    def total(self) -> float: ...


class Timing(Protocol):
    """How long changes took, and when something happened last, on the monotonic clock."""

    @property
    def commits(self) -> Distribution: ...
    @property
    def verifications(self) -> Distribution: ...
    @property
    def last_event(self) -> float | None: ...
    @property
    def last_snapshot(self) -> float | None: ...
    @property
    def last_verified(self) -> float | None: ...


class SelfChecks(Protocol):
    """What the comparisons with the from-scratch result have shown."""

    @property
    def runs(self) -> int: ...
    @property
    def differences(self) -> int: ...
    @property
    def last_at(self) -> float | None: ...
    @property
    def last_seconds(self) -> float | None: ...
    @property
    def last(self) -> int: ...


class DeniedCounts(Protocol):
    """What the kernel has reported of denied packets."""

    @property
    def listening(self) -> bool: ...
    @property
    def flows(self) -> int: ...
    @property
    def reports(self) -> Mapping[str, int]: ...
    @property
    def lost(self) -> int: ...


class AgentFacts(Protocol):
    """What the metrics need to know of the agent."""

    @property
    def ready(self) -> bool: ...
    @property
    def commits(self) -> int: ...
    @property
    def failed_commits(self) -> int: ...
    @property
    def repairs(self) -> int: ...
    @property
    def last_commit_seconds(self) -> float | None: ...
    @property
    def policy_problems(self) -> tuple[object, ...]: ...
    @property
    def timing(self) -> Timing: ...
    @property
    def self_checks(self) -> SelfChecks: ...
    @property
    def denied(self) -> DeniedCounts: ...


class RuleInfo(NamedTuple):
    """What a counter is of: `rule` is the index in the policy, or `default`."""

    counter: str
    rule: str
    action: str
    text: str


class _Gathered(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def render_metrics(
    facts: AgentFacts,
    inventory: Mapping[str, int],
    counters: Mapping[str, tuple[int, int]],
    ages: Mapping[str, float | None],
    now: float,
    *,
    hosts: Mapping[str, int] = NO_HOSTS,
    rules: Iterable[RuleInfo] = (),
    warnings: Mapping[str, int] = NO_WARNINGS,
) -> bytes:
    """The text of `/metrics`; `counters` are packets and bytes by the counter's name in the table.

    `now` is on the clock of the facts' own times, `hosts` are numbers by the state of their agents,
    `warnings` about the policy by their kind.
    """
    registry = CollectorRegistry()
    registry.register(
        _Gathered(
            [
                *_agent(facts),
                *_warnings(warnings),
                *_inventory(inventory),
                *_hosts(hosts),
                *_sources(ages),
                *_timing(facts.timing, now),
                *_self_checks(facts.self_checks, now),
                *_denied(facts.denied),
                *_verdicts(counters),
                *_rules(rules),
            ]
        )
    )
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _agent(facts: AgentFacts) -> Iterator[Metric]:
    info = GaugeMetricFamily("corral_build_info", "The running version.", labels=["version"])
    info.add_metric([corral.__version__], 1)
    yield info
    yield GaugeMetricFamily("corral_ready", "1 when the kernel enforces the current policy.", value=facts.ready)
    yield CounterMetricFamily("corral_commits", "Transactions that the kernel took.", value=facts.commits)
    yield CounterMetricFamily("corral_failed_commits", "Transactions refused or unsure.", value=facts.failed_commits)
    yield CounterMetricFamily("corral_repairs", "Differences found in the kernel and mended.", value=facts.repairs)
    rejected = bool(facts.policy_problems)
    yield GaugeMetricFamily("corral_policy_rejected", "1 while a newer policy is rejected.", value=rejected)
    if facts.last_commit_seconds is not None:
        yield GaugeMetricFamily("corral_last_commit_seconds", "Duration of it.", value=facts.last_commit_seconds)


def _warnings(warnings: Mapping[str, int]) -> Iterator[Metric]:
    found = GaugeMetricFamily("corral_policy_warnings", "What is probably not meant so.", labels=["kind"])
    for kind, number in warnings.items():
        found.add_metric([kind], number)
    yield found


def _inventory(inventory: Mapping[str, int]) -> Iterator[Metric]:
    objects = GaugeMetricFamily("corral_inventory_objects", "Objects in the model.", labels=["kind"])
    for kind, number in inventory.items():
        objects.add_metric([kind], number)
    yield objects


def _hosts(hosts: Mapping[str, int]) -> Iterator[Metric]:
    agents = GaugeMetricFamily("corral_hosts", "Hosts by the state of their agents.", labels=["agent"])
    for state, number in hosts.items():
        agents.add_metric([state], number)
    yield agents


def _sources(ages: Mapping[str, float | None]) -> Iterator[Metric]:
    age = GaugeMetricFamily("corral_source_age_seconds", "Since a source last said anything.", labels=["source"])
    for source, seconds in ages.items():
        if seconds is not None:
            age.add_metric([source], seconds)
    yield age


def _timing(timing: Timing, now: float) -> Iterator[Metric]:
    yield _histogram("corral_event_commit_seconds", "From an event to the kernel's acknowledgement.", timing.commits)
    yield _histogram("corral_commit_verify_seconds", "From a commit until it was read back.", timing.verifications)
    yield from _age("corral_event_age_seconds", "Since an event about a resource came.", timing.last_event, now)
    yield from _age("corral_snapshot_age_seconds", "Since the metadata last changed.", timing.last_snapshot, now)
    yield from _age("corral_verified_age_seconds", "Since the table was as committed.", timing.last_verified, now)


def _self_checks(checks: SelfChecks, now: float) -> Iterator[Metric]:
    yield CounterMetricFamily("corral_self_checks", "Comparisons with the result from scratch.", value=checks.runs)
    ever = checks.differences
    yield CounterMetricFamily("corral_self_check_differences", "Differences that they found.", value=ever)
    yield GaugeMetricFamily("corral_last_self_check_differences", "Those of the last one.", value=checks.last)
    if checks.last_seconds is not None:
        yield GaugeMetricFamily("corral_last_self_check_seconds", "How long it took.", value=checks.last_seconds)
    yield from _age("corral_self_check_age_seconds", "Since the last one ended.", checks.last_at, now)


def _denied(denied: DeniedCounts) -> Iterator[Metric]:
    listening = denied.listening
    yield GaugeMetricFamily("corral_denied_listening", "1 while the kernel reports denied packets.", value=listening)
    yield GaugeMetricFamily("corral_denied_flows", "Denied flows that are known now.", value=denied.flows)
    reports = CounterMetricFamily("corral_denied_reports", "Reports of denied packets.", labels=["verdict"])
    for verdict, number in sorted(denied.reports.items()):
        reports.add_metric([verdict], number)
    yield reports
    yield CounterMetricFamily("corral_denied_lost", "Reports that came too fast for the agent.", value=denied.lost)


def _histogram(name: str, documentation: str, distribution: Distribution) -> Metric:
    limits = [*map(floatToGoString, distribution.bounds), "+Inf"]
    buckets = list(zip(limits, accumulate(distribution.counts), strict=True))
    return HistogramMetricFamily(name, documentation, buckets=buckets, sum_value=distribution.total)


def _age(name: str, documentation: str, since: float | None, now: float) -> Iterator[Metric]:
    if since is not None:
        yield GaugeMetricFamily(name, documentation, value=now - since)


def _verdicts(counters: Mapping[str, tuple[int, int]]) -> Iterator[Metric]:
    packets = CounterMetricFamily("corral_rule_packets", "Packets that met a rule or default.", labels=["counter"])
    octets = CounterMetricFamily("corral_rule_bytes", "Bytes that met a rule or default.", labels=["counter"])
    for name, (seen_packets, seen_bytes) in sorted(counters.items()):
        packets.add_metric([name], seen_packets)
        octets.add_metric([name], seen_bytes)
    yield packets
    yield octets


def _rules(rules: Iterable[RuleInfo]) -> Iterator[Metric]:
    """To be joined on `counter`, so that the counts go on under the same labels when a rule moves."""
    info = GaugeMetricFamily(
        "corral_rule_info", "1 for each counter of the policy.", labels=["counter", "rule", "action", "text"]
    )
    for counter, rule in {rule.counter: rule for rule in reversed(tuple(rules))}.items():
        info.add_metric([counter, rule.rule, rule.action, rule.text], 1)
    yield info
