"""The matrix and the warnings of a running picture."""

from __future__ import annotations

import json

import pytest

from corral.daemon.answers import matrix
from corral.daemon.answers.matrix import MatrixReport
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.documents.matrix import MatrixDocument, WarningsDocument
from corral.errors import UnreachableError, UsageError
from corral.nft.tracker import Tracker
from corral.sandbox.environment import Environment

from ...documents.checking import check
from ..running import desk_of, small_environment, snapshot_of


async def document_of(report: MatrixReport, *stacks: str) -> MatrixDocument:
    answer: MatrixDocument = json.loads(await report.matrix(stacks))
    check(MatrixDocument, answer)
    return answer


def names(document: MatrixDocument) -> list[str]:
    return [party["name"] for party in document["parties"]]


def verdicts(document: MatrixDocument) -> list[list[str]]:
    return [[document["decisions"][cell]["verdict"] for cell in row] for row in document["cells"]]


async def test_the_whole_matrix() -> None:
    document = await document_of(MatrixReport(desk_of(small_environment())))
    applications = [name for name in names(document) if not name.startswith("ipsec/")]
    assert applications == ["back/job", "front/db", "front/web"]
    chosen = [names(document).index(name) for name in applications]
    found = verdicts(document)
    assert [[found[client][server] for server in chosen] for client in chosen] == [
        ["allow", "deny", "deny"],
        ["deny", "allow", "allow"],
        ["deny", "allow", "allow"],
    ]


async def test_one_stack_in_any_case_and_what_is_in_none() -> None:
    environment = small_environment()
    container = environment.create_container(None)
    environment.set_running(container.name, environment.allocate_address(0))
    assert names(await document_of(MatrixReport(desk_of(small_environment())), "")) == []
    report = MatrixReport(desk_of(environment))
    assert names(await document_of(report, "FRONT")) == ["front/db", "front/web"]
    assert names(await document_of(report, "back", "")) == sorted(["back/job", container.name])


async def test_an_unknown_stack_is_answered_with_near_ones() -> None:
    with pytest.raises(UsageError, match=r"'frond' given.*did you mean front\?"):
        await MatrixReport(desk_of(small_environment())).matrix(["frond"])


async def test_too_many_for_one_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "MOST_PARTIES", 2)
    report = MatrixReport(desk_of(small_environment()))
    with pytest.raises(UsageError, match=r"ask by \?stack=NAME"):
        await report.matrix([])
    assert names(await document_of(report, "front")) == ["front/db", "front/web"]


async def test_it_is_worked_out_once_for_each_change() -> None:
    environment = small_environment()
    desk = desk_of(environment)
    report = MatrixReport(desk)
    first = await report.matrix([])
    assert await report.matrix([]) is first
    desk.load(snapshot_of(environment), 1.0)
    assert await report.matrix([]) is first
    environment.set_policy([], "deny")
    desk.load(snapshot_of(environment), 2.0)
    assert (await document_of(report))["rules"] == []
    container = environment.create_container("front/web")
    environment.set_running(container.name, environment.allocate_address(0))
    desk.load(snapshot_of(environment), 3.0)
    counts = {party["name"]: party["endpoints"] for party in (await document_of(report))["parties"]}
    assert counts["front/web"] == 2


async def test_a_suspended_policy_allows_everything() -> None:
    desk = desk_of(small_environment())
    report = MatrixReport(desk)
    await report.matrix([])
    desk.suspend()
    assert {verdict for row in verdicts(await document_of(report)) for verdict in row} == {"allow"}
    desk.resume()
    assert "deny" in {verdict for row in verdicts(await document_of(report)) for verdict in row}


def misspelt() -> Environment:
    environment = small_environment()
    environment.set_policy([{"between": {"groupBy": "nobody"}, "action": "allow"}], "deny")
    return environment


async def test_warnings() -> None:
    report = MatrixReport(desk_of(misspelt()))
    answer = await report.warnings()
    check(WarningsDocument, answer)
    assert [(one["kind"], one["rule"]) for one in answer["warnings"]] == [("unknown-label", 0)]
    counts = await report.warning_counts()
    assert (counts["unknown-label"], counts["no-match"]) == (1, 0)


async def test_warnings_are_counted_anew_at_once_for_another_policy_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "REST", 1e9)
    environment = misspelt()
    desk = desk_of(environment)
    report = MatrixReport(desk)
    await report.warning_counts()
    worked_out = report._known
    container = environment.create_container("front/web")
    environment.set_running(container.name, environment.allocate_address(0))
    desk.load(snapshot_of(environment), 1.0)
    await report.warning_counts()
    assert report._known is worked_out
    environment.set_policy([], "deny")
    desk.load(snapshot_of(environment), 2.0)
    assert (await report.warning_counts())["unknown-label"] == 0


async def test_the_matrix_is_kept_only_for_those_who_ask_for_it() -> None:
    """It takes memory that metrics alone are not worth."""
    environment = small_environment()
    desk = desk_of(environment)
    report = MatrixReport(desk)
    await report.warning_counts()
    assert report._known is not None
    assert report._known.kept is None
    answer = await report.matrix([])
    await report.warnings()
    assert await report.matrix([]) is answer


async def test_before_anything_is_known() -> None:
    report = MatrixReport(Desk(Tracker(), Facts(), unknown_allowed=False))
    for ask in (report.matrix([]), report.warnings()):
        with pytest.raises(UnreachableError, match="nothing is known yet"):
            await ask
    assert await report.warning_counts() == {}
