"""What a commit changed, told once, when the kernel has it."""

from __future__ import annotations

from collections.abc import Callable

from corral.daemon.changes import NAMED, Change, Changes, change_event
from corral.documents.events import ChangeEvent
from corral.model.endpoint import Endpoint
from corral.model.entities import Container, ServiceKey
from corral.policy.rules import Policy
from corral.types import Action, Address

from ..documents.checking import check

A, B = Address.parse("10.42.0.2"), Address.parse("10.42.0.3")
WEB = ServiceKey("", "front", "web")
OLD, NEW = Endpoint(A, ("u2",)), Endpoint(A, ("u2",), system=True)
CONTAINERS = {
    f"u{number}": Container(uuid=f"u{number}", name=f"web-{number}", service=WEB) for number in range(2, 2 + NAMED)
}


def followed() -> tuple[Changes, list[Change]]:
    told: list[Change] = []
    changes = Changes()
    changes.follow(told.append)
    return changes, told


def commit(changes: Changes, during: Callable[[], None] = lambda: None) -> None:
    changes.begin()
    during()
    changes.committed(0.25)
    changes.settled()


def test_what_came_went_and_changed() -> None:
    changes, told = followed()
    changes.endpoints_change({A: NEW, B: None}, {A: OLD, B: Endpoint(B, ("u3",))})
    commit(changes)
    (change,) = told
    event = change_event(change, CONTAINERS, 0.0)
    assert event["changed"] == {"count": 1, "names": ["front/web/web-2"]}
    assert event["went"] == {"count": 1, "names": ["front/web/web-3"]}
    assert event["came"] == {"count": 0, "names": []}
    assert (event["latency_seconds"], event["policy"], event["repair"]) == (0.25, None, None)
    check(ChangeEvent, event)


def test_changes_of_one_commit_are_told_by_their_ends() -> None:
    changes, told = followed()
    changes.endpoints_change({A: OLD}, {})
    changes.endpoints_change({A: NEW}, {A: OLD})
    commit(changes)
    changes.endpoints_change({B: OLD}, {})
    changes.endpoints_change({B: None}, {B: OLD})
    commit(changes)
    first, second = (change_event(change, CONTAINERS, 0.0) for change in told)
    assert (first["came"]["count"], first["changed"]["count"]) == (1, 0)
    assert (second["came"]["count"], second["went"]["count"]) == (0, 0)


def test_what_comes_during_a_commit_belongs_to_the_next() -> None:
    changes, told = followed()
    changes.endpoints_change({A: OLD}, {})
    commit(changes, lambda: changes.endpoints_change({B: OLD}, {A: OLD}))
    assert [list(change.endpoints) for change in told] == [[A]]
    commit(changes)
    assert [list(change.endpoints) for change in told] == [[A], [B]]


def test_what_the_kernel_refused_is_told_with_the_next() -> None:
    changes, told = followed()
    changes.endpoints_change({A: OLD}, {})
    changes.begin()
    changes.endpoints_change({B: OLD}, {})
    commit(changes)
    assert [set(change.endpoints) for change in told] == [{A, B}]


def test_a_policy_and_a_repair() -> None:
    changes, told = followed()
    changes.policy_changes(Policy(default=Action.DENY))
    changes.begin()
    changes.repaired("table changed by nft (pid 7)")
    changes.settled()
    event = change_event(told[0], {}, 0.0)
    assert event["policy"] is not None
    assert event["repair"] == "table changed by nft (pid 7)"
    check(ChangeEvent, event)


def test_nothing_is_noted_while_nobody_listens_nor_told_of_nothing() -> None:
    changes = Changes()
    changes.endpoints_change({A: OLD}, {})
    changes.policy_changes(Policy())
    assert not changes._next
    changes, told = followed()
    commit(changes)
    changes.endpoints_change({A: OLD}, {})
    changes.follow(None)
    commit(changes)
    assert told == []


def test_everything_anew_is_no_change() -> None:
    changes, told = followed()
    changes.endpoints_change({A: OLD}, {})
    changes.start_over()
    commit(changes)
    assert told == []


def test_of_many_only_the_first_are_named() -> None:
    changes, told = followed()
    many = {Address(A + number): Endpoint(Address(A + number), (f"u{number + 2}",)) for number in range(NAMED + 5)}
    changes.endpoints_change(many, {})
    commit(changes)
    came = change_event(told[0], CONTAINERS, 0.0)["came"]
    assert (came["count"], len(came["names"])) == (NAMED + 5, NAMED)


def test_one_without_a_record_is_called_by_its_service_or_address() -> None:
    one, other = Endpoint(A, ("gone",), services=frozenset([WEB])), Endpoint(B, ("gone",))
    event = change_event(Change({A: (one, None), B: (other, None)}), {}, 0.0)
    assert event["went"] == {"count": 2, "names": ["front/web", "10.42.0.3"]}
