"""The map of hosts: what Rancher's metadata tells of other agents, and what it does not."""

from __future__ import annotations

import pytest

from corral.daemon.answers.hosts import HostReport, agents_of
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.documents.hosts import HostCounts, Hosts
from corral.model.entities import AGENT_LABEL, Container, Host, ServiceKey, Snapshot
from corral.nft.tracker import Tracker
from corral.sandbox.environment import Environment

from ...documents.checking import check
from ..running import desk_of, snapshot_of

LABELS = {AGENT_LABEL: "true"}
SERVICE = ServiceKey("", "corral", "agent")


def environment_of(*agents: str | None, labels: dict[str, str] = LABELS) -> Environment:
    """A host for each agent's health; None: there is no agent."""
    environment = Environment(hosts=len(agents))
    environment.add_stack("corral", system=True)
    environment.add_service("corral/agent", system=True, labels=labels)
    for number, health in enumerate(agents):
        if health is not None:
            name = f"agent-{number}"
            environment.create_container("corral/agent", host=number, name=name, network="host", labels=labels)
            environment.set_running(name, "192.0.2.1")
            environment.set_health(name, health or None)
    environment.set_policy([], "deny")
    return environment


async def told(environment: Environment) -> Hosts:
    """What the agent of the first host tells."""
    report = HostReport(desk_of(environment))
    check(HostCounts, report.counts())
    answer = await report.hosts()
    check(Hosts, answer)
    return answer


async def test_each_host_is_shown_with_the_state_of_its_agent() -> None:
    environment = environment_of("healthy", "healthy", "unhealthy", "initializing", "", None)
    environment.add_stack("shop")
    environment.add_service("shop/web")
    for number in (5, 5, 1):
        container = environment.create_container("shop/web", host=number)
        environment.set_running(container.name, environment.allocate_address(number))
    answer = await told(environment)
    assert [(host["name"], host["agent"], host["endpoints"], host["this"]) for host in answer["hosts"]] == [
        ("host1", "this", 0, True),
        ("host2", "running", 1, False),
        ("host3", "unhealthy", 0, False),
        ("host4", "unknown", 0, False),
        ("host5", "unknown", 0, False),
        ("host6", "missing", 2, False),
    ]
    assert HostReport(desk_of(environment)).counts() == {"running": 2, "unhealthy": 1, "unknown": 2, "missing": 1}
    assert "agents do not talk to each other" in answer["how"]
    assert "none can be told to be missing" not in answer["how"]


async def test_where_this_agent_itself_would_not_be_found_none_is_missing() -> None:
    answer = await told(environment_of(None, None))
    assert [host["agent"] for host in answer["hosts"]] == ["this", "unknown"]
    assert "none can be told to be missing" in answer["how"]


async def test_a_container_of_an_agents_service_counts_whatever_its_own_labels() -> None:
    environment = environment_of("healthy", "healthy", None)
    environment.set_container_labels("agent-1", {})
    answer = await told(environment)
    assert [host["agent"] for host in answer["hosts"]] == ["this", "unknown", "missing"]


async def test_a_new_snapshot_is_looked_at_anew() -> None:
    environment = environment_of("healthy", "healthy")
    desk = desk_of(environment)
    report = HostReport(desk)
    assert report.counts()["running"] == 2
    environment.set_health("agent-1", "unhealthy")
    desk.load(snapshot_of(environment), 1.0)
    assert report.counts() == {"running": 1, "unhealthy": 1, "unknown": 0, "missing": 0}


async def test_before_the_first_snapshot_no_host_is_known() -> None:
    report = HostReport(Desk(Tracker(), Facts(), unknown_allowed=False))
    assert (await report.hosts())["hosts"] == []


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"state": "running", "health": "healthy"}, "running"),
        ({"state": "running", "health": "updating-healthy"}, "running"),
        ({"state": "running", "health": "unhealthy"}, "unhealthy"),
        ({"state": "running", "health": "reinitializing"}, "unknown"),
        ({"state": "running"}, "unknown"),
        ({"state": "starting", "health": "healthy"}, "unknown"),
        ({"state": "stopped", "health": "healthy"}, "unhealthy"),
    ],
)
def test_what_state_and_health_mean(fields: dict[str, str], state: str) -> None:
    container = Container(uuid="a", host="h", labels=LABELS, **fields)  # type: ignore[arg-type]
    assert agents_of(Snapshot(containers={"a": container})) == {"h": state}


def test_of_several_on_a_host_the_best_one_counts() -> None:
    states = ("stopped", "running", "starting")
    containers = {
        state: Container(uuid=state, host="h", labels=LABELS, state=state, health="healthy") for state in states
    }
    assert agents_of(Snapshot(containers=containers)) == {"h": "running"}


def test_what_rancher_knew_of_a_host_that_it_has_lost_tells_nothing() -> None:
    container = Container(uuid="a", host="h", labels=LABELS, state="running", health="healthy")
    hosts = {"h": Host(uuid="h", state="disconnected")}
    assert agents_of(Snapshot(containers={"a": container}, hosts=hosts)) == {"h": "unknown"}


@pytest.mark.parametrize("value", ["false", "", "yes"])
def test_only_the_value_true_marks_an_agent(value: str) -> None:
    container = Container(uuid="a", host="h", labels={AGENT_LABEL: value}, state="running", service=SERVICE)
    assert agents_of(Snapshot(containers={"a": container})) == {}
