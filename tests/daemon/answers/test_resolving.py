"""What names stand for, and why some stand for nothing."""

from __future__ import annotations

import pytest

from corral.daemon.answers.resolving import MOST_NAMED, Named, Names
from corral.daemon.answers.topology import topology_of
from corral.errors import UsageError
from corral.sandbox.environment import Environment

from ..running import desk_of, small_environment


def resolve(environment: Environment, name: str) -> Named:
    return Names(topology_of(desk_of(environment), "enforce")).resolve(name)


def more(environment: Environment, path: str, number: int, *, labels: bool = False) -> list[str]:
    names = []
    for _ in range(number):
        container = environment.create_container(path)
        environment.set_running(container.name, environment.allocate_address(0))
        if labels:
            environment.set_container_labels(container.name, {"own": container.name})
        names.append(container.name)
    return names


@pytest.mark.parametrize(
    "rule",
    [
        {"between": {"groupBy": "own"}, "action": "allow"},
        {"between": {"selector": "own"}, "action": "allow"},
        {"from": {"selector": "own"}, "to": {"selector": "x"}, "action": "allow"},
        {"from": {"selector": "x"}, "to": {"selector": "own"}, "action": "allow"},
    ],
)
def test_copies_of_a_service_are_of_one_kind_unless_a_rule_can_tell_them_apart(rule: object) -> None:
    environment = small_environment()
    more(environment, "front/web", 2)
    found = resolve(environment, "front/web")
    assert [len(kind) for kind in found.kinds] == [3]
    more(environment, "front/web", 1, labels=True)
    assert len(resolve(environment, "front/web").kinds) == 1
    environment.set_policy([rule], "deny")
    assert sorted(len(kind) for kind in resolve(environment, "front/web").kinds) == [1, 3]
    assert len(list(resolve(environment, "front/web").addresses)) == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("front/wev", "did you mean front/web"),
        ("front-wbe-1", "did you mean front-web-1"),
        ("", "no endpoint is called ''; an address, a container's name or uuid, or stack/service"),
    ],
)
def test_a_name_that_nothing_has_is_refused_with_what_is_near(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(small_environment(), name)
    assert said in str(caught.value)


def test_a_stopped_container_is_said_to_be_stopped() -> None:
    environment = small_environment()
    environment.stop_container("front-web-1")
    with pytest.raises(UsageError, match=r"^front-web-1 has no endpoint: front-web-1 is stopped$"):
        resolve(environment, "front-web-1")
    more(environment, "front/web", 1)
    found = resolve(environment, "front/web")
    assert found.notes == ["front/web: front-web-1 is stopped"]
    assert len(list(found.addresses)) == 1


def test_of_many_that_are_stopped_a_few_are_named() -> None:
    environment = small_environment()
    for name in more(environment, "front/web", MOST_NAMED + 2):
        environment.stop_container(name)
    (note,) = resolve(environment, "front/web").notes
    assert note.endswith("; and 2 more")


def test_a_container_of_another_network_is_said_to_be_there() -> None:
    with pytest.raises(UsageError, match=r"is on another network \(192\.0\.2\.10\), which no policy judges"):
        resolve(small_environment(), "ipsec/cni-driver")


def test_a_contested_address_is_judged_as_unknown_and_the_conflict_told() -> None:
    environment = small_environment()
    taken = environment.container("front-db-1").address
    environment.set_running("front-web-1", taken)
    found = resolve(environment, "front-web-1")
    assert [str(address) for address in found.addresses] == [taken]
    assert "claimed by front-db-1" in found.notes[0]
    assert "share no network" in found.notes[0]
    assert "claimed by front-db-1" in resolve(environment, str(taken)).notes[0]


def test_what_has_no_address_yet() -> None:
    environment = small_environment()
    container = environment.create_container("front/web")
    with pytest.raises(UsageError, match="has no address"):
        resolve(environment, container.name)


def test_of_an_address_that_is_no_endpoint_is_told_whose_it_is() -> None:
    environment = small_environment()
    address = environment.container("front-web-1").address
    environment.stop_container("front-web-1")
    assert resolve(environment, str(address)).notes == [f"{address} is no known endpoint: front-web-1 is stopped"]
    assert resolve(environment, environment.host(0).agent_ip).notes[0].endswith("is the host host1")
    assert resolve(environment, "10.42.99.99").notes == []
