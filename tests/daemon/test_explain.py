"""May A reach B? In the environment's words."""

from __future__ import annotations

import asyncio

import pytest

from corral.daemon.desk import Desk
from corral.daemon.explain import explain, explain_aside
from corral.daemon.facts import Facts
from corral.errors import UnreachableError, UsageError
from corral.nft.tracker import Tracker

from .running import desk_of, small_environment


@pytest.fixture
def desk() -> Desk:
    return desk_of(small_environment())


def test_the_deciding_rule_is_named(desk: Desk) -> None:
    answer = explain(desk, "front/web", "front-db-1", "80/tcp")
    (flow,) = answer["flows"]
    assert (answer["verdict"], flow["rule"], flow["rule_text"]) == ("allow", 0, "within stack: allow")
    assert flow["client"].startswith("front/web/front-web-1 (10.42.")
    assert flow["enforced_here"]


def test_a_denial_tells_why_each_rule_did_not_match(desk: Desk) -> None:
    (flow,) = explain(desk, "back/job", "front/db", None)["flows"]
    assert (flow["verdict"], flow["decided_by"], flow["protocol"]) == ("deny", "default", "icmp")
    assert [step["matched"] for step in flow["steps"]] == [False]


def test_a_port_without_protocol_asks_for_both(desk: Desk) -> None:
    flows = explain(desk, "front/web", "front/db", "80")["flows"]
    assert [flow["protocol"] for flow in flows] == ["tcp", "udp"]


def test_one_denied_flow_makes_the_answer_no() -> None:
    environment = small_environment()
    environment.set_policy(
        [{"from": {"selector": "a"}, "to": {"selector": "b"}, "ports": ["80/tcp"], "action": "allow"}], "deny"
    )
    environment.set_service_labels("front/web", {"a": "1"})
    environment.set_service_labels("front/db", {"b": "1"})
    answer = explain(desk_of(environment), "front/web", "front/db", "80")
    assert {flow["protocol"]: flow["verdict"] for flow in answer["flows"]} == {"tcp": "allow", "udp": "deny"}
    assert answer["verdict"] == "deny"


def test_what_the_policy_does_not_judge_is_said(desk: Desk) -> None:
    assert explain(desk, "192.0.2.7", "front/db", None)["verdict"] == "not judged"


@pytest.mark.parametrize(
    ("client", "port", "said"),
    [
        ("front/wev", None, "did you mean front/web"),
        ("", None, "no endpoint is called ''"),
        ("front/web", "0", "1-65535"),
        ("front/web", "80/sctp", "80/sctp"),
        ("front/web", "99999/tcp", "1-65535"),
    ],
)
def test_bad_questions_say_what_is_allowed(desk: Desk, client: str, port: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        explain(desk, client, "front/db", port)


def test_nothing_is_known_at_the_start() -> None:
    with pytest.raises(UnreachableError, match="nothing is known yet"):
        explain(Desk(Tracker(), Facts(), unknown_allowed=False), "10.42.0.1", "10.42.0.2", None)


def test_a_question_about_too_many_pairs_is_refused_rather_than_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corral.daemon.explain.PAIRS_LIMIT", 1)
    environment = small_environment()
    container = environment.create_container("front/web")
    environment.set_running(container.name, environment.allocate_address(0))
    with pytest.raises(UsageError, match="is 2 pairs; at most 1"):
        explain(desk_of(environment), "front/web", "front/db", None)


async def test_asking_aside_leaves_the_loop_free_and_the_picture_as_it_was() -> None:
    desk = desk_of(small_environment())
    turns = 0
    answer = asyncio.create_task(explain_aside(desk, "front/web", "front/db", "80"))
    while not answer.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 1
    assert answer.result() == explain(desk, "front/web", "front/db", "80")
    with pytest.raises(UsageError, match="did you mean front/web"):
        await explain_aside(desk, "front/wev", "front/db", None)
