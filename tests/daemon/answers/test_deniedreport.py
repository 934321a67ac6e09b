"""Denied flows as they are asked for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from corral.config import load_settings
from corral.daemon.announcer import Announcer
from corral.daemon.answers.deniedreport import DeniedReport, EventReport, is_called
from corral.daemon.hub import EventHub
from corral.documents.denied import Denied, DeniedSuggestions
from corral.errors import UsageError
from corral.web.denied import DeniedQuery
from corral.web.eventstream import KINDS

from ...documents.checking import check
from ..running import desk_of, small_environment
from ..test_denials import STRANGER, address, logged
from ..test_denialwatch import Watched

END = {"name": "front/web/front-web-1", "address": "10.42.0.3", "party": "back/job + front/web"}


@pytest.fixture
async def watched() -> Watched:
    """Three flows, the last of them just now."""
    made = Watched()
    job, web, db = (address(made.desk, name) for name in ("back-job-1", "front-web-1", "front-db-1"))
    await made.watch.open()
    running = asyncio.create_task(made.watch.run())
    for number, ends in enumerate(((job, db), (STRANGER, db), (job, web))):
        made.now = 1000.0 + number
        await made.saw(logged(*ends))
    running.cancel()
    return made


def report_of(watched: Watched, now: float = 1003.0) -> DeniedReport:
    return DeniedReport(load_settings({}), watched.desk, watched.watch, clock=lambda: now)


async def clients(watched: Watched, query: DeniedQuery) -> list[str]:
    return [flow["client"]["party"] for flow in (await report_of(watched).denied(query))["flows"]]


async def test_all_flows_the_latest_first(watched: Watched) -> None:
    answer = await report_of(watched).denied(DeniedQuery())
    check(Denied, answer)
    assert [flow["server"]["party"] for flow in answer["flows"]] == ["front/web", "front/db", "front/db"]
    assert (answer["mode"], answer["listening"], answer["lost"], answer["forgotten"]) == ("enforce", True, 0, 0)
    assert answer["since"] == "1970-01-01T00:16:40.000Z"


async def test_some_of_them(watched: Watched) -> None:
    assert await clients(watched, DeniedQuery(limit=1)) == ["back/job"]
    assert await clients(watched, DeniedQuery(since=timedelta(seconds=1.5))) == ["back/job"]
    assert await clients(watched, DeniedQuery(server="front/db")) == [str(STRANGER), "back/job"]
    assert await clients(watched, DeniedQuery(server="front", client="BACK-JOB-1")) == ["back/job", "back/job"]
    assert await clients(watched, DeniedQuery(client="back/job", server="front-db-1")) == ["back/job"]


async def test_a_name_that_nothing_has_is_an_error_that_names_the_nearest(watched: Watched) -> None:
    with pytest.raises(UsageError, match="did you mean front/web"):
        await report_of(watched).denied(DeniedQuery(client="front/wev"))
    assert await clients(watched, DeniedQuery(client="front/web")) == []
    assert await clients(watched, DeniedQuery(client="Front")) == []
    assert await clients(watched, DeniedQuery(client="10.42.77.77")) == []


@pytest.mark.parametrize("name", [None, *END.values(), "FRONT-WEB-1", "front/web", "back/job", "front", "back"])
def test_an_end_answers_to_its_names(name: str | None) -> None:
    assert is_called(END, name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "fron", "web", "10.42.0.30", "front/web/front-web-2"])
def test_and_to_no_others(name: str) -> None:
    assert not is_called(END, name)  # type: ignore[arg-type]
    assert not is_called({"name": None, "address": "10.42.0.3", "party": "10.42.0.3"}, name)


async def test_what_would_allow_a_flow(watched: Watched) -> None:
    answer = await report_of(watched).suggestions("back/job", "front/db", "80/tcp")
    check(DeniedSuggestions, answer)
    assert (answer["client"]["party"], answer["server"]["name"]) == ("back/job", "front/db/front-db-1")
    assert answer["suggestions"]
    listed = (await report_of(watched).denied(DeniedQuery(suggest=True, server="front/db", client="back")))["flows"]
    assert [flow["suggestion"] for flow in listed] == [answer["suggestions"][0]["sentence"]]


@pytest.mark.parametrize("port", ["80", "0/tcp", "65536/udp", "80/sctp", "x"])
async def test_a_port_has_a_protocol(watched: Watched, port: str) -> None:
    with pytest.raises(UsageError, match="1-65535 with /tcp or /udp"):
        await report_of(watched).suggestions("back/job", "front/db", port)


async def test_a_reader_chooses_kinds_and_denied_flows_by_name() -> None:
    hub, desk = EventHub(), desk_of(small_environment())
    report = EventReport(Announcer(hub, desk, desk.facts))
    with report.subscribed(KINDS, None, "front/db") as every, report.subscribed({"change"}, None, None) as some:
        hub.publish("denied", {"client": END, "server": END})
        hub.publish("denied", {"client": END, "server": {**END, "party": "front/db"}})
        hub.publish("change", {})
        hub.close()
        assert [event and event[0] async for event in every.events(5)] == ["state", "denied", "change"]
        assert [event and event[0] async for event in some.events(5)] == ["change"]
