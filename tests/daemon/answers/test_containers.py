"""Is it programmed? The answers for containers of this host, of others, and for those that nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from corral.daemon.answers.containers import LONGEST_WAIT, MOST_WAITING, ContainerReport, _NameIndex
from corral.daemon.facts import Trouble, bridge_reason
from corral.documents.containers import Containers, Programmed
from corral.errors import UnreachableError, UsageError
from corral.model.entities import Container
from corral.types import Problem

from ...documents.checking import check
from ..running import snapshot_of, until
from ..test_engine import Bench, bench


class Asked(Bench):
    """An engine at work, and its report."""

    report: ContainerReport

    def tell(self) -> None:
        """The metadata shows what there is now."""
        self.desk.load(snapshot_of(self.environment), 1.0)
        self.engine.wake()

    async def now(self, name: str) -> Programmed:
        """The answer at once, which has the shape that is documented."""
        answer = await self.report.programmed(name, 0.0)
        check(Programmed, answer)
        return answer


@asynccontextmanager
async def asked() -> AsyncIterator[Asked]:
    async with bench() as made:
        made.__class__ = Asked
        assert isinstance(made, Asked)
        made.report = ContainerReport(made.desk)
        await made.settled()
        yield made


async def test_all_containers_of_this_host_are_listed_with_what_the_kernel_holds() -> None:
    async with asked() as made:
        listed = made.report.containers()
        check(Containers, listed)
        assert [(entry["name"], entry["party"], entry["judged"]) for entry in listed["containers"]] == [
            ("back-job-1", "back/job", True),
            ("front-db-1", "front/db", True),
            ("front-web-1", "front/web", True),
            ("ipsec-ipsec-1", "ipsec/ipsec", False),
        ]
        assert listed["reason"] is None
        assert {entry["policy"] for entry in listed["containers"]} == {listed["policy"]}
        assert all(
            entry["programmed"] and entry["since"] and entry["verified"] is None for entry in listed["containers"]
        )
        made.engine.doubt("SIGHUP")
        await until(lambda: all(entry["verified"] for entry in made.report.containers()["containers"]))


async def test_a_container_is_asked_for_by_name_uuid_and_address_in_any_case() -> None:
    async with asked() as made:
        container = made.environment.container("front-web-1")
        for name in ("front-web-1", "FRONT-web-1", container.uuid, container.uuid.upper(), container.address or ""):
            answer = await made.now(name)
            assert (answer["programmed"], answer["final"], answer["address"]) == (True, True, "10.42.1.2"), name
            assert f"under policy {answer['policy']}" in answer["sentence"]
            assert datetime.fromisoformat(answer["since"] or "").timestamp() == pytest.approx(
                made.desk.facts.last_commit_at, abs=0.1
            )


async def test_a_system_container_is_programmed_and_not_judged() -> None:
    async with asked() as made:
        answer = await made.now("ipsec-ipsec-1")
        assert answer["programmed"]
        assert "policy does not judge it" in answer["sentence"]


async def test_one_waits_for_a_container_that_nobody_knows_yet() -> None:
    async with asked() as made:
        unknown = await made.now("front-web-2")
        assert not unknown["programmed"]
        assert not unknown["final"]
        assert "no container of this host is called so; did you mean front-web-1" in unknown["sentence"]
        waiting = asyncio.create_task(made.report.programmed("front-web-2", 30.0))
        await until(lambda: made.report._waiting == 1)
        made.environment.create_container("front/web")
        made.environment.set_running("front-web-2", made.environment.allocate_address(0))
        made.dataplane.hold()
        made.tell()
        await until(lambda: made.desk.facts.committing)
        assert "on its way into the kernel" in (await made.now("front-web-2"))["sentence"]
        assert (await made.now("front-web-1"))["programmed"], "its neighbour's commit does not concern it"
        made.dataplane.release()
        answer = await waiting
        assert answer["programmed"]
        assert 0.0 < answer["waited_seconds"] < 30.0
        assert not made.desk.facts.programming.listeners


async def test_who_waits_in_vain_is_told_why() -> None:
    async with asked() as made:
        answer = await made.report.programmed("nobody", 0.02)
        assert not answer["programmed"]
        assert answer["waited_seconds"] >= 0.02
        address = await made.now("10.42.77.7")
        assert "no endpoint of this host has that address" in address["sentence"]


async def test_a_policy_on_its_way_concerns_all() -> None:
    async with asked() as made:
        made.dataplane.hold()
        made.environment.set_policy([], "allow")
        made.tell()
        answer = await made.now("front-web-1")
        assert (answer["programmed"], answer["since"], answer["policy"]) == (False, None, None)
        assert "a change of the policy" in answer["sentence"]
        assert not any(entry["programmed"] for entry in made.report.containers()["containers"])
        made.dataplane.release()
        before = answer
        answer = await made.report.programmed("front-web-1", 30.0)
        assert answer["programmed"]
        assert answer["policy"] != before["policy"]
        assert answer["policy"] == made.report.containers()["policy"]


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("bridge_error", bridge_reason("bridge docker0: packets between its ports do not pass netfilter", "load it")),
        ("kernel_error", "Operation not permitted"),
        ("contested", "repaired again and again"),
        ("network_error", "no managed network found"),
        ("mode_off", True),
        ("opened", True),
    ],
)
async def test_where_the_kernel_enforces_nothing_nothing_is_programmed(fact: str, value: object) -> None:
    async with asked() as made:
        setattr(made.desk.facts, fact, value)
        reason = next(made.desk.facts.unenforced()).text
        answer = await made.now("front-web-1")
        assert (answer["programmed"], answer["sentence"]) == (False, f"front-web-1 is not programmed: {reason}")
        listed = made.report.containers()
        assert listed["reason"] == reason
        assert not any(entry["programmed"] for entry in listed["containers"])


async def test_what_the_sources_lack_is_told_beside_what_the_kernel_holds() -> None:
    async with asked() as made:
        made.desk.facts.metadata_error = Trouble("refused", 0.0)
        made.desk.facts.policy_problems = (Problem("policy[0]", "wrong"),)
        answer = await made.now("front-web-1")
        assert answer["programmed"]
        assert "not ready: metadata service: refused" in answer["sentence"]
        assert "policy[0]: wrong" in answer["sentence"]


async def test_a_container_of_another_network_will_never_be_programmed() -> None:
    async with asked() as made:
        made.environment.create_container("front/web", network="host", name="outside")
        made.environment.set_running("outside", "192.0.2.10")
        made.environment.create_container("front/web", network_from="outside", name="guest")
        made.environment.set_running("guest", None)
        made.tell()
        for name in ("outside", "guest"):
            answer = await made.report.programmed(name, 30.0)
            assert (answer["programmed"], answer["final"]) == (False, True)
            assert "on the network host, which policy does not judge" in answer["sentence"]


async def test_a_container_of_another_host_is_for_that_hosts_agent() -> None:
    async with asked() as made:
        made.environment.add_host()
        made.environment.create_container("front/web", host=1, name="far")
        made.environment.set_running("far", made.environment.allocate_address(1))
        made.tell()
        answer = await made.now("far")
        assert (answer["programmed"], answer["final"]) == (False, True)
        assert "runs on another host, host2: its agent programs it" in answer["sentence"]
        assert "another host" in (await made.now("10.42.2.1"))["sentence"]


async def test_what_is_not_there_yet_or_any_more_is_waited_for() -> None:
    async with asked() as made:
        made.environment.create_container("front/web", name="begun")
        made.environment.stop_container("back-job-1")
        made.environment.create_container("front/web", name="double")
        made.environment.set_running("double", "10.42.1.2")
        made.tell()
        for name, reason in (
            ("begun", "no address yet"),
            ("back-job-1", "is stopped"),
            ("double", "address 10.42.1.2"),
        ):
            answer = await made.now(name)
            assert (answer["programmed"], answer["final"]) == (False, False)
            assert reason in answer["sentence"]


async def test_a_wait_is_bounded_and_so_are_those_who_wait() -> None:
    async with asked() as made:
        with pytest.raises(UsageError, match="at most 60 s"):
            await made.report.programmed("nobody", LONGEST_WAIT + 1)
        waiting = [asyncio.create_task(made.report.programmed("nobody", 50.0)) for _ in range(MOST_WAITING)]
        await until(lambda: made.report._waiting == MOST_WAITING)
        with pytest.raises(UnreachableError, match="others wait"):
            await made.report.programmed("nobody", 1.0)
        assert (await made.now("front-web-1"))["programmed"], "a question without a wait is answered"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (made.report._waiting, made.desk.facts.programming.listeners) == (0, set())


async def test_a_new_agent_that_finds_the_table_intact_counts_from_its_adoption() -> None:
    async with asked() as first:
        before = await first.now("front-web-1")
    async with bench() as second:
        second.engine._dataplane = second.dataplane = first.dataplane
        await second.settled()
        after = await ContainerReport(second.desk).programmed("front-web-1", 0.0)
        assert second.desk.facts.commits == 0
        assert (after["programmed"], after["policy"]) == (True, before["policy"])
        assert (after["since"] or "") >= (before["since"] or "")
        assert (after["verified"] or "") >= (after["since"] or ""), "the table that was adopted was read"


class _Watched(dict[str, Container]):
    """Counts how often somebody looks through it."""

    looks = 0

    def items(self) -> Any:
        self.looks += 1
        return super().items()


def test_those_who_wait_look_through_all_containers_together() -> None:
    """In the largest environment one look takes tens of milliseconds, and each of them looks four times a second."""
    containers = _Watched({uuid: Container(uuid=uuid, name=uuid.upper()) for uuid in ("a", "b")})
    index = _NameIndex()
    for _ in range(MOST_WAITING):
        assert [one.uuid for one in index.called("B", containers)] == ["b"]
        assert not list(index.called("nobody", containers))
    assert containers.looks <= 2
    del containers["b"]
    assert not list(index.called("B", containers)), "what is gone is not told"
