"""Is it programmed? The containers of this host, beside what the kernel holds for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

from corral.daemon.desk import Desk
from corral.daemon.programming import Held
from corral.daemon.times import rfc3339
from corral.documents.containers import Containers, LocalContainer, Programmed
from corral.errors import UnreachableError, UsageError
from corral.model.endpoint import Endpoint
from corral.model.entities import OWN_ENVIRONMENT, Container
from corral.model.lookup import find_endpoints
from corral.policy.digest import policy_digest
from corral.policy.profiles import party_name
from corral.policy.rules import Policy
from corral.types import Address

LONGEST_WAIT = 60.0
MOST_WAITING = 64
# A commit is looked at once for all that come at nearly the same time; what tells nobody is found by looking.
COALESCED = 0.01
LOOK_INTERVAL = 0.25
REST = 20


class _Answer(NamedTuple):
    """`final`: time alone will not change it. `unheard`: nothing is called so, and similar names may be told."""

    sentence: str
    final: bool = False
    unheard: bool = False
    address: Address | None = None
    held: Held | None = None


class ContainerReport:
    """Implements `corral.web.containers.ContainersView`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._facts = desk.facts
        self._waiting = 0
        self._names = _NameIndex()
        self._digests: dict[int, tuple[Policy, str]] = {}

    def containers(self) -> Containers:
        """Every live container of this host that has an address of the managed network."""
        endpoints, containers = self._desk.endpoints, self._desk.inventory.containers
        listed = [
            self._entry(endpoint, container)
            for address in self._facts.programming.local
            if (endpoint := endpoints.get(address)) is not None
            for uuid in endpoint.containers
            if (container := containers.get(uuid)) is not None
        ]
        policy = self._desk.policy
        return {
            "policy": None if policy is None else self._digest(policy),
            "reason": self._trouble(),
            "containers": sorted(listed, key=lambda entry: (entry["party"], entry["name"], entry["uuid"])),
        }

    async def programmed(self, name: str, patience: float) -> Programmed:
        """The answer for a container by uuid, name or address, as soon as it is final, or after `patience` seconds.

        Raises UsageError for a longer wait than LONGEST_WAIT, UnreachableError when too many wait already.
        """
        if not 0 <= patience <= LONGEST_WAIT:
            raise UsageError(f"wait: {patience:g} s given; at most {LONGEST_WAIT:g} s is allowed: ask again")
        began = time.monotonic()
        answer = self._answer(name, self._names.called if patience else _called)
        if not answer.final and patience:
            with self._woken() as woken, suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    while not answer.final:
                        await _look_again(woken)
                        answer = self._answer(name, self._names.called)
        if answer.unheard:
            answer = answer._replace(sentence=answer.sentence + self._hint(name))
        return self._document(name, answer, time.monotonic() - began)

    @contextmanager
    def _woken(self) -> Iterator[asyncio.Event]:
        """Set after each round of the engine that ended well."""
        if self._waiting >= MOST_WAITING:
            raise UnreachableError(f"{MOST_WAITING} others wait for containers already: ask again")
        woken, listeners = asyncio.Event(), self._facts.programming.listeners
        self._waiting += 1
        listeners.add(woken.set)
        try:
            yield woken
        finally:
            self._waiting -= 1
            listeners.discard(woken.set)
            if not self._waiting:
                self._names = _NameIndex()

    def _answer(self, name: str, called: _Search) -> _Answer:
        address = self._local_address(name)
        if address is None:
            return self._elsewhere(name, called)
        if trouble := self._trouble():
            return _Answer(f"{name} is not programmed: {trouble}", address=address)
        held = self._facts.programming.held(address)
        if held is None:
            return _Answer(f"{name} is not programmed: {self._facts.programming.why_not(address)}", address=address)
        return _Answer(self._sentence(name, address, held), final=True, address=address, held=held)

    def _sentence(self, name: str, address: Address, held: Held) -> str:
        read = "not read back yet" if held.verified is None else f"read back at {rfc3339(held.verified)}"
        since = f"{name} ({address}) is programmed since {rfc3339(held.since)}"
        parts = [f"{since} under policy {self._digest(held.policy)}, {read}"]
        endpoint = self._desk.endpoints.get(address)
        if endpoint is not None and endpoint.system:
            parts.append("it is a system container: policy does not judge it")
        if self._desk.enforcement.audit:
            parts.append("AUDIT: nothing is dropped")
        parts += [f"the agent is not ready: {reason.text}" for reason in self._facts.blocking()]
        return "; ".join(parts)

    def _local_address(self, name: str) -> Address | None:
        """Of the endpoint of this host that an address, or a container's uuid or name, means."""
        local = self._facts.programming.local
        with suppress(ValueError):
            address = Address.parse(name)
            return address if address in local else None
        wanted, inventory = name.lower(), self._desk.inventory
        if name in inventory.containers:
            owned = inventory.endpoint_of(name)
            return owned if owned in local else None
        for address in local:
            endpoint = self._desk.endpoints.get(address)
            for uuid in endpoint.containers if endpoint else ():
                container = inventory.containers.get(uuid)
                if uuid.lower() == wanted or (container is not None and container.name.lower() == wanted):
                    return address
        return None

    def _elsewhere(self, name: str, called: _Search) -> _Answer:
        """Of a name that is no endpoint of this host's."""
        inventory = self._desk.inventory
        found = [one for one in called(name, inventory.containers) if one.environment == OWN_ENVIRONMENT]
        if found:
            return self._unprogrammable(name, found[0])
        with suppress(ValueError):
            address = Address.parse(name)
            if address in self._desk.endpoints:
                return _Answer(f"{name} is an endpoint of another host: its agent programs it", final=True)
            return _Answer(f"{name} is not programmed: no endpoint of this host has that address")
        return _Answer(f"{name} is not programmed: no container of this host is called so", unheard=True)

    def _unprogrammable(self, name: str, container: Container) -> _Answer:
        """Of a container that is no endpoint of this host's, and why."""
        inventory = self._desk.inventory
        if container.host and inventory.self_host and container.host != inventory.self_host:
            host = inventory.hosts.get(container.host)
            where = (host and host.name) or container.host
            return _Answer(f"{name} runs on another host, {where}: its agent programs it", final=True)
        if not container.live:
            return _Answer(f"{name} is not programmed: it is {container.state}")
        network, owner = self._desk.network, _owner(container, inventory.containers)
        if network is not None and owner.network and owner.network != network.uuid:
            told = inventory.networks.get(owner.network)
            where = f"the network {told.name}" if told and told.name else "another network"
            sentence = f"it is on {where}, which policy does not judge: nothing will be programmed for it"
            return _Answer(f"{name} is not programmed: {sentence}", final=True)
        if owner.address is None:
            return _Answer(f"{name} is not programmed: it has no address yet")
        claimed = f"address {owner.address}"
        conflicts = (str(problem) for problem in inventory.problems if problem.where == claimed)
        return _Answer(f"{name} is not programmed: {next(conflicts, f'{claimed} is no endpoint')}")

    def _hint(self, name: str) -> str:
        endpoints, local = self._desk.endpoints, self._facts.programming.local
        here = {address: endpoints[address] for address in local if address in endpoints}
        every = self._desk.inventory.containers
        known = {uuid: every[uuid] for one in here.values() for uuid in one.containers if uuid in every}
        return find_endpoints(name, here, known).hint

    def _trouble(self) -> str | None:
        """Why nothing can be relied on at present."""
        reason = next(self._facts.unenforced(), None)
        if reason is not None:
            return reason.text
        if self._desk.policy is None:
            return "no good policy is known: nothing is changed"
        return None

    def _entry(self, endpoint: Endpoint, container: Container) -> LocalContainer:
        held = None if self._trouble() else self._facts.programming.held(endpoint.address)
        return {
            "name": container.name,
            "uuid": container.uuid,
            "address": str(endpoint.address),
            "party": party_name(endpoint, self._desk.inventory.containers),
            "judged": not endpoint.system,
            "programmed": held is not None,
            "since": held and rfc3339(held.since),
            "policy": held and self._digest(held.policy),
            "verified": rfc3339(held.verified) if held and held.verified is not None else None,
        }

    def _document(self, name: str, answer: _Answer, waited: float) -> Programmed:
        held = answer.held
        return {
            "container": name,
            "address": None if answer.address is None else str(answer.address),
            "programmed": held is not None,
            "final": answer.final,
            "since": held and rfc3339(held.since),
            "policy": held and self._digest(held.policy),
            "verified": rfc3339(held.verified) if held and held.verified is not None else None,
            "waited_seconds": round(waited, 3),
            "sentence": answer.sentence,
        }

    def _digest(self, policy: Policy) -> str:
        """Worked out once for each policy: there may be hundreds of rules, and hundreds of containers to list."""
        known = self._digests.get(id(policy))
        if known is None or known[0] is not policy:
            self._digests = {id(policy): (policy, policy_digest(policy))}
            known = self._digests[id(policy)]
        return known[1]


async def _look_again(woken: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_INTERVAL):
            await woken.wait()
    await asyncio.sleep(COALESCED)
    woken.clear()


_Search = Callable[[str, Mapping[str, Container]], Iterable[Container]]


class _NameIndex:
    """Containers by name for those who wait, together: each of them looking through tens of thousands, several times
    a second, would leave the agent no time. It is made anew after LOOK_INTERVAL, or REST times what it took."""

    def __init__(self) -> None:
        self._uuids: dict[str, list[str]] = {}
        self._stale_at = 0.0

    def called(self, name: str, containers: Mapping[str, Container]) -> Iterator[Container]:
        """Like `_called`."""
        if name in containers:
            yield containers[name]
            return
        began = time.monotonic()
        if began >= self._stale_at:
            self._uuids = _by_name(containers)
            ended = time.monotonic()
            self._stale_at = ended + max(LOOK_INTERVAL, REST * (ended - began))
        for uuid in self._uuids.get(name.lower(), ()):
            if (container := containers.get(uuid)) is not None:
                yield container


def _by_name(containers: Mapping[str, Container]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for uuid, container in containers.items():
        name, other = container.name.lower(), uuid.lower()
        names.setdefault(name, []).append(uuid)
        if other != name:
            names.setdefault(other, []).append(uuid)
    return names


def _called(name: str, containers: Mapping[str, Container]) -> Iterator[Container]:
    if name in containers:
        yield containers[name]
        return
    wanted = name.lower()
    for uuid, container in containers.items():
        if container.name.lower() == wanted or uuid.lower() == wanted:
            yield container


def _owner(container: Container, containers: Mapping[str, Container]) -> Container:
    """At the end of the chain of those that share a network; where it runs in a circle, one of that."""
    passed = {container.uuid}
    while (following := containers.get(container.network_from)) is not None and following.uuid not in passed:
        passed.add(following.uuid)
        container = following
    return container
