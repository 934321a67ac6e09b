from __future__ import annotations

from corral.model.placement import Placement
from tests.model.builders import HERE, THERE, container

NEAR = container("near", network="net")
FAR = container("far", network="net", host=THERE)


def placement(self_host: str = HERE) -> Placement:
    result = Placement()
    result.settle_on(self_host, [])
    return result


def test_counts_live_containers_and_lists_local_ones() -> None:
    result = placement()
    assert set(result.move(None, NEAR)) == {"net"}
    assert set(result.move(None, FAR)) == {"net"}
    assert result.local("net") == {"near"}
    assert result.populated("net")
    assert set(result.move(NEAR, None)) == {"net"}
    assert result.local("net") == set()
    assert result.populated("net")
    assert set(result.move(FAR, container("far", network="net", host=THERE, state="stopped"))) == {"net"}
    assert not result.populated("net")


def test_a_move_between_networks_concerns_both() -> None:
    result = placement()
    result.move(None, NEAR)
    moved = container("near", network="other")
    assert set(result.move(NEAR, moved)) == {"net", "other"}
    assert result.local("net") == set()
    assert result.local("other") == {"near"}


def test_nothing_happens_without_a_network_or_a_difference() -> None:
    result = placement()
    assert not result.move(None, container("none", network=""))
    assert not result.move(NEAR, NEAR)


def test_containers_of_linked_environments_are_not_local() -> None:
    result = placement()
    result.move(None, container("theirs", network="net", environment="dev"))
    assert result.local("net") == set()
    assert result.populated("net")


def test_learning_the_host_later() -> None:
    result = placement("")
    nowhere = container("nowhere", network="net", host="")
    for one in (NEAR, FAR, nowhere):
        result.move(None, one)
    assert result.local("net") == set()
    result.settle_on(THERE, [NEAR, FAR, nowhere])
    assert result.local("net") == {"far"}
