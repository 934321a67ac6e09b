"""When another manager's rules may go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corral.support.findings import AgentSeen, Maybe, TableSeen, Unread
from corral.support.handover import why_unprotected
from tests.support.test_doctor import AGENT

TABLE = TableSeen(base_chains=1, drops=True)


@pytest.mark.parametrize("agent", [AGENT, None])
def test_protected(agent: AgentSeen | None) -> None:
    assert why_unprotected(TABLE, agent) is None


@pytest.mark.parametrize(
    ("table", "agent", "why"),
    [
        (Unread("EPERM"), AGENT, "EPERM"),
        (None, AGENT, "no table inet corral"),
        (None, None, "no table inet corral"),
        (replace(TABLE, base_chains=0), AGENT, "0 base chains"),
        (replace(TABLE, base_chains=2), None, "2 base chains"),
        (TABLE, Unread("a stranger"), "a stranger"),
        (TABLE, replace(AGENT, mode="audit"), "mode is audit"),
        (TABLE, replace(AGENT, mode="off"), "mode is off"),
        (TABLE, replace(AGENT, ready=False, reasons=("no bridge", "no policy")), "not ready: no bridge; no policy"),
        (replace(TABLE, drops=False), None, "audit mode made it"),
    ],
)
def test_unprotected(table: Maybe[TableSeen | None], agent: Maybe[AgentSeen | None], why: str) -> None:
    assert why in (why_unprotected(table, agent) or "")
