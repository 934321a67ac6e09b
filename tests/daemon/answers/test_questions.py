"""Questions to an agent at work: answered aside, from what it knows at that moment."""

from __future__ import annotations

import asyncio
import json

import pytest

from corral.daemon.answers.explain import explain
from corral.daemon.answers.hosts import HostReport
from corral.daemon.answers.questions import MOST_NAMES, Questions
from corral.daemon.answers.topology import topology_of, understood
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.documents.explain import Explanation, Names
from corral.errors import UnreachableError, UsageError
from corral.nft.tracker import Tracker

from ...documents.checking import check
from ..running import desk_of, running_agent, small_environment, until


def questions_of(desk: Desk) -> Questions:
    return Questions(desk, "enforce", HostReport(desk))


async def test_asking_leaves_the_loop_free_and_the_picture_as_it_was() -> None:
    desk = desk_of(small_environment())
    turns = 0
    answer = asyncio.create_task(questions_of(desk).explain("front/web", "front/db", "80"))
    while not answer.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 1
    expected = explain(topology_of(desk, "enforce"), "front/web", "front/db", "80")
    assert answer.result()["flows"][0]["sentence"] == expected["flows"][0]["sentence"]
    with pytest.raises(UsageError, match="did you mean front/web"):
        await questions_of(desk).explain("front/wev", "front/db", None)


async def test_nothing_is_known_at_the_start() -> None:
    questions = questions_of(Desk(Tracker(), Facts(), unknown_allowed=False))
    with pytest.raises(UnreachableError, match="nothing is known yet"):
        await questions.explain("10.42.0.1", "10.42.0.2", None)
    with pytest.raises(UnreachableError, match="nothing is known yet"):
        await questions.topology()
    assert await questions.names("") == {"names": []}


async def test_an_agent_tells_whether_it_has_programmed_the_server() -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.programmed)
        running.agent.facts.bridge_error = None
        answer = json.loads((await running.get("/v1/explain?client=front/web&server=front/db"))[1])
        check(Explanation, answer)
        (place,) = answer["flows"][0]["enforced"]
        assert (place["host"], place["programmed"], place["agent"]) == ("host1", True, "this")
        assert place["since"] in place["sentence"]
        running.agent.facts.kernel_error = "it refuses"
        answer = json.loads((await running.get("/v1/explain?client=front/web&server=front/db"))[1])
        (place,) = answer["flows"][0]["enforced"]
        assert (place["programmed"], place["since"]) == (False, None)
        assert "kernel: it refuses" in place["sentence"]


async def test_an_agents_topology_is_read_back_as_its_scene() -> None:
    async with running_agent(CORRAL_UNKNOWN_ENDPOINTS="allow") as running:
        await until(lambda: running.agent.facts.programmed)
        status, body = await running.get("/v1/topology")
        assert status == 200
        assert understood(body.encode(), "the agent").scene == running.agent.desk.scene()


async def test_names_for_the_shell() -> None:
    questions = questions_of(desk_of(small_environment()))
    found = await questions.names("Front")
    check(Names, found)
    assert found["names"] == ["front-db-1", "front-web-1", "front/db", "front/web"]
    assert (await questions.names("nothing"))["names"] == []
    assert len((await questions.names(""))["names"]) <= MOST_NAMES


async def test_lists_that_are_encoded_in_pieces_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desk_of(small_environment())
    texts = []
    for piece in (1, 2, 500):
        monkeypatch.setattr("corral.daemon.answers.questions.PIECE", piece)
        document = json.loads(await questions_of(desk).topology())
        texts.append(json.dumps(document | {"at": ""}))
        assert len(document["endpoints"]) >= 3
    assert len(set(texts)) == 1


async def test_names_are_looked_for_by_one_reader_at_a_time() -> None:
    """Each takes copies of everything, and a shell asks at every touch of a key."""
    questions = questions_of(desk_of(small_environment()))
    async with questions._asking:
        waiting = asyncio.create_task(questions.names("front"))
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done
    assert "front/web" in (await waiting)["names"]
