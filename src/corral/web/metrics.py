"""Prometheus metrics, gathered when asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import corral


class KernelFacts(Protocol):
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


class _Gathered(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def render_metrics(
    facts: KernelFacts,
    inventory: Mapping[str, int],
    counters: Mapping[str, tuple[int, int]],
    ages: Mapping[str, float | None],
) -> bytes:
    """The text of `/metrics`; `counters` are packets and bytes by the counter's name in the table."""
    registry = CollectorRegistry()
    registry.register(_Gathered([*_agent(facts), *_inventory(inventory), *_sources(ages), *_verdicts(counters)]))
    return generate_latest(registry)


def _agent(facts: KernelFacts) -> Iterator[Metric]:
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


def _inventory(inventory: Mapping[str, int]) -> Iterator[Metric]:
    objects = GaugeMetricFamily("corral_inventory_objects", "Objects in the model.", labels=["kind"])
    for kind, number in inventory.items():
        objects.add_metric([kind], number)
    yield objects


def _sources(ages: Mapping[str, float | None]) -> Iterator[Metric]:
    age = GaugeMetricFamily("corral_source_age_seconds", "Since a source last said anything.", labels=["source"])
    for source, seconds in ages.items():
        if seconds is not None:
            age.add_metric([source], seconds)
    yield age


def _verdicts(counters: Mapping[str, tuple[int, int]]) -> Iterator[Metric]:
    packets = CounterMetricFamily("corral_rule_packets", "Packets that met a rule or default.", labels=["counter"])
    octets = CounterMetricFamily("corral_rule_bytes", "Bytes that met a rule or default.", labels=["counter"])
    for name, (seen_packets, seen_bytes) in sorted(counters.items()):
        packets.add_metric([name], seen_packets)
        octets.add_metric([name], seen_bytes)
    yield packets
    yield octets
