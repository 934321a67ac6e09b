"""Plans as text: what is cut off is said."""

from __future__ import annotations

from typing import Any, cast

import pytest

from corral.cli.policy.text import counted, show_plan, show_warnings
from corral.documents.plan import PlanDocument

from ...daemon.answers.test_plan import connection, end, evidence, planned
from ...policy.scenes import BETWEEN_DEPARTMENTS, policy


def shown(capsys: pytest.CaptureFixture[str], document: PlanDocument) -> list[str]:
    show_plan(document)
    return capsys.readouterr().out.splitlines()


def test_a_few_pairs_are_named_under_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, planned(evidence(connection())))
    start = lines.index("opens 4 service pairs (16 pairs of endpoints)")
    rule = "policy[0] between groupBy com.rancher.department: allow"
    assert lines[start + 1] == f"  4 pairs, any: {rule} (now the default action: deny)"
    assert min(lines[start + 2 : start + 6]) == "    stack_one/service_one -> stack_two/service_one"
    cut = lines.index("cuts 2 open connections")
    assert lines[cut + 1] == (
        "  stack_one/service_one/c10 (10.42.0.10:4000) -> stack_one/service_three/c14 (10.42.0.14:80)"
        "  tcp established, on host1"
    )
    assert "  stack_one/service_one -> stack_one/service_three  tcp 80: 2 flows, 2 open" in lines


def test_many_are_groups_and_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, planned(before=policy(default="allow"), after=policy(BETWEEN_DEPARTMENTS)))
    start = next(place for place, line in enumerate(lines) if line.startswith("closes "))
    groups = lines[start + 2 : start + 7]
    assert all("/* -> " in line for line in groups)
    total, listed = int(lines[start + 1].split()[0]), sum(int(line.split()[-2]) for line in groups)
    assert lines[start + 7] == f"    and {total - listed} more pairs: see --json"


def test_many_connections_are_some_and_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    many = connection(count=50, client_ports=list(range(50)))
    lines = shown(capsys, planned(evidence(many)))
    start = lines.index("cuts 50 open connections")
    assert len([line for line in lines[start:] if " -> " in line]) == 20
    assert "  and 30 more of them: see --json" in lines


def test_what_is_cut_nowhere_that_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cuts no open connection on host1" in shown(capsys, planned(evidence()))
    assert not any(line.startswith("cuts") for line in shown(capsys, planned()))


def test_names_of_others_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    bad = end(10, "stack_one/service_one") | {"name": "a\x1b[2J"}
    assert any(
        "a\\x1b[2J (10.42.0.10:4000)" in line for line in shown(capsys, planned(evidence(connection(client=bad))))
    )


def test_counters_tell_of_what_they_count(capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"text": "within stack: allow", "packets": 7, "last_hit": "2026-11-23T02:35:15.123Z"}
    (line,) = [
        line
        for line in shown(capsys, planned(evidence(rules={"rules": [entry], "default": None})))
        if "lets pass" in line
    ]
    assert line == (
        "  policy[0] (within stack: allow) lets pass what closes: 7 packets, the last at 2026-11-23T02:35:15.123Z, "
        "on host1, of all that it decides"
    )


def test_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    warning: Any = {"kind": "shadowed", "rule": 1, "sentence": "it never decides", "remedy": "remove it"}
    show_warnings(cast("Any", [warning, warning | {"rule": None}]))
    assert capsys.readouterr().out.splitlines() == [
        "warning: policy[1]: it never decides; remove it",
        "warning: policy: it never decides; remove it",
    ]


def test_counting() -> None:
    assert [counted(number, "pair") for number in (0, 1, 1234)] == ["0 pairs", "1 pair", "1,234 pairs"]
