"""Containers that start while packets for them are under way already: what is forbidden never arrives.

The metadata service stands still, so that events alone tell the agent of a start. Each container is a new network
namespace with sockets in it before Rancher says that it runs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from corral.sandbox.namespace import Namespace
from corral.sandbox.topology import _port
from corral.sandbox.world import Sandbox

from ..daemon.running import until
from .places import one_host

STARTS = int(os.environ.get("CORRAL_STARTS", "1000"))
AT_ONCE = 50
HAND_OVERS = 60
PORT = 7000
ENOUGH = 20
TURN = 0.002  # seconds between two rounds of datagrams, each to every target


class Party:
    """A container's UDP socket: sends to whoever is named in `targets`, and counts who was heard."""

    def __init__(self, namespace: Namespace, address: str) -> None:
        self.address = address
        self.targets: set[str] = set()
        self.heard: Counter[str] = Counter()
        self.order: list[str] = []  # the senders, repetitions left out
        self.sent = 0
        self._socket = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, PORT))
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def send(self) -> None:
        for target in self.targets:
            # Before the target exists nobody answers ARP for it: an error, now and then, of an earlier datagram.
            with suppress(OSError):
                self._socket.sendto(b"?", (target, PORT))
                self.sent += 1

    def hears(self, sender: str, count: int) -> bool:
        return self.heard[sender] >= count

    def close(self) -> None:
        self._read()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        with suppress(OSError):
            while True:
                sender = self._socket.recvfrom(16)[1][0]
                self.heard[sender] += 1
                if self.order[-1:] != [sender]:
                    self.order.append(sender)


@asynccontextmanager
async def talking(parties: set[Party]) -> AsyncIterator[None]:
    """All of them send, round after round."""

    loop = asyncio.get_running_loop()
    ended = False

    def speak() -> None:
        if not ended:
            for party in parties:
                party.send()
            loop.call_later(TURN, speak)

    speak()
    try:
        yield
    finally:
        ended = True
        for party in parties:
            party.close()


class Started(NamedTuple):
    name: str
    stack: str
    party: Party


class Starter:
    """Starts containers on addresses that others had before, always in the other stack."""

    def __init__(self, sandbox: Sandbox, parties: set[Party]) -> None:
        self.sandbox = sandbox
        self.parties = parties
        self.residents = {
            stack: Party(sandbox.namespace(name), str(sandbox.address(name)))
            for stack, name in (("front", "front-db-1"), ("back", "back-job-1"))
        }
        parties.update(self.residents.values())

    async def start(self, address: str, stack: str) -> Started:
        """Packets are under way before the namespace is there, and from inside before Rancher says that it runs."""
        sandbox = self.sandbox
        for resident in self.residents.values():
            resident.targets.add(address)
        record = sandbox.environment.create_container({"front": "front/web", "back": "back/job"}[stack])
        sandbox.environment.set_state(record.name, "starting")
        party = Party(await sandbox._in_builder(sandbox.topology.add_container, 0, address), address)
        party.targets.update(resident.address for resident in self.residents.values())
        self.parties.add(party)
        party.send()
        sandbox.environment.set_running(record.name, address)
        return Started(record.name, stack, party)

    async def end(self, started: Started) -> None:
        """The namespace goes with its last socket, some time later."""
        address = started.party.address
        for resident in self.residents.values():
            resident.targets.discard(address)
        self.parties.discard(started.party)
        started.party.close()
        self.sandbox.topology.hosts[0].containers.pop(address).close()
        self.sandbox.environment.remove_container(started.name)
        # The server cuts off whoever lags by 100 messages.
        await until(lambda: all(each._queue.empty() for each in self.sandbox.rancher.subscribers))

    def speak_as_allowed(self, batch: Iterable[Started]) -> bool:
        """Each one's own stack's resident hears it and is heard."""
        residents = [(self.residents[started.stack], started.party) for started in batch]
        return all(party.heard[each.address] and each.heard[party.address] for each, party in residents)

    def forbidden(self, batch: Iterable[Started]) -> int:
        """Packets that arrived though they must not, in either direction."""
        strangers = {"front": self.residents["back"], "back": self.residents["front"]}
        return sum(
            started.party.heard[strangers[started.stack].address]
            + strangers[started.stack].heard[started.party.address]
            for started in batch
        )


def other(stack: str) -> str:
    return {"front": "back", "back": "front"}[stack]


@asynccontextmanager
async def standing_still() -> AsyncIterator[Sandbox]:
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        sandbox.metadata[0].hold()
        yield sandbox


@pytest.mark.timeout(300)
async def test_a_brand_new_container_is_closed_from_its_first_packet_and_open_within_one_event() -> None:
    async with standing_still() as sandbox:
        parties: set[Party] = set()
        starter = Starter(sandbox, parties)
        # Two halves take turns, so that the kernel has cleaned up the namespaces that had a half's addresses before.
        owners = {
            f"10.42.{block}.{number}": ("front", "back")[number % 2] for block in (8, 9) for number in range(25, 75)
        }
        forbidden = starts = 0
        async with talking(parties):
            while starts < STARTS:
                addresses = [at for at in owners if at.startswith(f"10.42.{8 + starts // AT_ONCE % 2}.")]
                await until(partial(_ports_are_free, sandbox, addresses))
                batch = [await starter.start(at, owners[at]) for at in addresses]
                await until(partial(starter.speak_as_allowed, batch))
                forbidden += starter.forbidden(batch)
                starts += len(batch)
                for started in batch:
                    await starter.end(started)
                owners.update((at, other(owners[at])) for at in addresses)
                for resident in starter.residents.values():
                    resident.heard.clear()
        assert forbidden == 0
        assert sum(resident.sent for resident in starter.residents.values()) > 2 * STARTS
        state = await sandbox.agents[0].state()
        assert state["kernel"]["repairs"] == state["kernel"]["failed_commits"] == 0
        print(f"{starts} starts, {forbidden} forbidden packets")  # noqa: T201


def _ports_are_free(sandbox: Sandbox, addresses: Iterable[str]) -> bool:
    """Whether the host has no cables left to what had the addresses before."""
    links = sandbox.topology.hosts[0].links
    with links.namespace:
        names = {name for _, name in socket.if_nameindex()}
    return names.isdisjoint(map(_port, addresses))


async def test_the_new_owner_of_an_address_never_has_the_rights_of_the_old_one() -> None:
    """However the news arrives: once the new owner's friends get through, nothing of the old one's does."""
    async with standing_still() as sandbox:
        parties: set[Party] = set()
        starter = Starter(sandbox, parties)
        environment = sandbox.environment
        async with talking(parties):
            owner = await starter.start("10.42.8.25", "front")
            await until(partial(starter.speak_as_allowed, [owner]))
            for number in range(HAND_OVERS):
                before, stack = owner, other(owner.stack)
                owner = before._replace(
                    name=environment.create_container({"front": "front/web", "back": "back/job"}[stack]).name,
                    stack=stack,
                )
                party, friend = owner.party, starter.residents[stack].address
                party.order.clear()
                if number % 2:
                    environment.remove_container(before.name)
                    environment.set_running(owner.name, party.address)
                else:
                    environment.set_running(owner.name, party.address)
                    environment.remove_container(before.name)
                await until(partial(party.hears, friend, party.heard[friend] + ENOUGH))
                enemy = starter.residents[other(stack)].address
                assert party.order in ([friend], [enemy, friend])


async def test_the_running_agent_tells_how_long_changes_take_and_checks_itself() -> None:
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        sandbox.metadata[0].hold()
        for _ in range(3):
            await sandbox.start_container("front/web")
        await sandbox.enforced()
        agent.signal(signal.SIGHUP)
        await sandbox._until(lambda state: state["self_check"]["runs"] == 1, 10.0)
        samples = {
            (sample.name, sample.labels.get("le")): sample.value
            for family in text_string_to_metric_families((await agent.get("/metrics")).body.decode())
            for sample in family.samples
        }
        # A commit can take what several events said.
        assert 1 <= samples["corral_event_commit_seconds_count", None] <= 6
        assert samples["corral_event_commit_seconds_bucket", "1.0"] >= 1
        assert 0 < samples["corral_event_commit_seconds_sum", None] < 10
        assert samples["corral_commit_verify_seconds_count", None] >= 1
        for age in ("event", "snapshot", "verified", "self_check"):
            assert 0 <= samples[f"corral_{age}_age_seconds", None] < 60
        assert samples["corral_self_check_differences_total", None] == 0
