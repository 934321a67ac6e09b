"""Who enforces, and what leads around it."""

from __future__ import annotations

from typing import Any

from corral.daemon.answers.explain import explain
from corral.daemon.answers.places import Knowledge, Programmed
from corral.daemon.answers.topology import LoadedTopology, topology_of
from corral.sandbox.environment import Environment
from corral.types import Address

from ..running import WITHIN_STACK, desk_of, small_environment

SINCE, LATER = "2026-11-23T02:35:15.123Z", "2026-11-23T02:40:00.000Z"


def two_hosts() -> Environment:
    environment = Environment(hosts=2)
    environment.add_stack("front")
    environment.add_service("front/web")
    for host in (0, 1, 1):
        container = environment.create_container("front/web", host=host)
        environment.set_running(container.name, environment.allocate_address(host))
    environment.set_policy(WITHIN_STACK, "deny")
    return environment


def places(loaded: LoadedTopology, knowledge: Knowledge | None = None) -> list[dict[str, Any]]:
    (flow,) = explain(loaded, "front-web-1", "front/web", None, knowledge)["flows"]
    return [dict(place) for place in flow["enforced"]]


def test_a_verdict_is_enforced_where_the_servers_are() -> None:
    loaded = topology_of(desk_of(two_hosts()), "enforce")
    other = next(uuid for uuid, host in loaded.topology.hosts.items() if host.name == "host2")
    knowledge = Knowledge(lambda _: Programmed(programmed=True, since=SINCE), {other: "unhealthy"})
    by_host = {place["host"]: place for place in places(loaded, knowledge)}
    here, there = by_host["host1"], by_host["host2"]
    assert (here["here"], here["programmed"], here["since"], here["servers"]) == (True, True, SINCE, 1)
    assert here["sentence"] == f"on host1, this host; in the kernel since {SINCE}"
    assert (there["here"], there["programmed"], there["agent"], there["servers"]) == (False, None, "unhealthy", 2)
    assert "whose agent is unhealthy; ask the agent there" in there["sentence"]


def test_what_is_not_in_the_kernel_says_why() -> None:
    desk = desk_of(small_environment())
    knowledge = Knowledge(lambda _: Programmed(programmed=False, why="a change is on its way"))
    (flow,) = explain(topology_of(desk, "enforce"), "front/web", "front/db", None, knowledge)["flows"]
    assert flow["enforced"][0]["sentence"].endswith("not in the kernel yet: a change is on its way")
    assert flow["enforced"][0]["programmed"] is False


def test_of_several_the_last_one_counts() -> None:
    environment = two_hosts()
    container = environment.create_container("front/web", host=0)
    environment.set_running(container.name, environment.allocate_address(0))
    first = Address.parse(environment.container("front-web-1").address or "")

    def later(address: Address) -> Programmed:
        return Programmed(programmed=True, since=SINCE if address == first else LATER)

    knowledge = Knowledge(later)
    here = next(place for place in places(topology_of(desk_of(environment), "enforce"), knowledge) if place["here"])
    assert (here["servers"], here["since"]) == (2, LATER)
    knowledge = Knowledge(lambda address: later(address) if address == first else Programmed(programmed=False))
    here = next(place for place in places(topology_of(desk_of(environment), "enforce"), knowledge) if place["here"])
    assert here["programmed"] is False
    knowledge = Knowledge(lambda address: later(address) if address == first else None)
    here = next(place for place in places(topology_of(desk_of(environment), "enforce"), knowledge) if place["here"])
    assert here["programmed"] is None


def test_a_file_does_not_know_what_is_programmed() -> None:
    here = next(place for place in places(topology_of(desk_of(two_hosts()), "enforce")) if place["here"])
    assert (here["programmed"], here["sentence"]) == (None, "on host1, the host that this was written on")


def test_nothing_is_enforced_while_the_mode_is_off() -> None:
    here = next(place for place in places(topology_of(desk_of(two_hosts()), "off")) if place["here"])
    assert "the mode is off" in here["sentence"]


def test_published_ports_are_pointed_out() -> None:
    environment = small_environment()
    environment.publish_ports("front-db-1", "0.0.0.0:8080:80/tcp", "192.0.2.10:53:53/udp", "nonsense")
    loaded = topology_of(desk_of(environment), "enforce")
    every = explain(loaded, "back/job", "front/db", None)["published"]
    assert [(note["public"], note["private"], note["protocol"]) for note in every] == [
        (53, 53, "udp"),
        (8080, 80, "tcp"),
    ]
    (note,) = explain(loaded, "back/job", "front/db", "80")["published"]
    assert note["sentence"] == (
        "port 80/tcp of front-db-1 is published as 8080 on host1: traffic through it arrives with a host's or an "
        "outside address and is not judged by the policy"
    )
    assert explain(loaded, "back/job", "front/db", "81")["published"] == []
    (note,) = explain(loaded, "back/job", "front/db", "53/udp")["published"]
    assert "published as 192.0.2.10:53 on host1" in note["sentence"]
    assert explain(loaded, "back/job", "front/db", "53/tcp")["published"] == []
    assert explain(loaded, "front/db", "back/job", None)["published"] == []
