from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.model.updates import ContainerUpdate, NetworkUpdate
from corral.types import Address, Problem
from corral.wire.directory import Reference
from corral.wire.events import Event, Kind, event_of, quick_event
from corral.wire.rancher import EventTranslator, Translation
from corral.wire.resources import PlainContainer
from tests.wire.test_rancher import DB, HOST, NETWORK, STACK, Json, container, service


def message(resource_type: str, resource: object, resource_id: str = "1i1") -> Json:
    return {
        "name": "resource.change",
        "id": "message",
        "time": 1,
        "resourceType": resource_type,
        "resourceId": resource_id,
        "data": {"resource": resource},
    }


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"name": "ping"}, Kind.PING),
        ({"name": "logout"}, Kind.LOGOUT),
        ({"name": "disconnect"}, Kind.LOGOUT),
        ({"name": "service.kubernetes.change"}, Kind.IGNORED),
        ({}, Kind.IGNORED),
        (message("volume", {}), Kind.IGNORED),
        ({"name": "resource.change", "resourceType": "container"}, Kind.IGNORED),
        ({"name": "resource.change", "resourceType": "container", "resourceId": "1i1"}, Kind.HINT),
        (message("container", None), Kind.HINT),
        (message("container", container()), Kind.CHANGE),
    ],
    ids=repr,
)
def test_kinds(given: Json, kind: Kind) -> None:
    event = event_of(given)
    assert isinstance(event, Event)
    assert event.kind is kind
    assert (event.reference is not None) is (kind in (Kind.CHANGE, Kind.HINT))
    assert (event.resource is not None) is (kind is Kind.CHANGE)


@pytest.mark.parametrize("given", [[], 5, "ping", None])
def test_what_is_no_object_is_a_problem(given: object) -> None:
    problem = event_of(given)
    assert isinstance(problem, Problem)
    assert str(problem) == f"event: an object is allowed, {given!r} given"


def test_the_resource_tells_what_the_message_does_not() -> None:
    bare = {"name": "resource.change", "data": {"resource": container()}}
    assert event_of(bare) == Event(Kind.CHANGE, Reference("containers", "1i1"), None, container())
    without_id = container()
    del without_id["id"]
    assert event_of(message("instance", without_id)) == Event(
        Kind.CHANGE, Reference("containers", "1i1"), 1, {"id": "1i1"} | without_id
    )


@pytest.mark.parametrize("resource_type", ["container", "instance"])
def test_a_container_is_read_in_one_pass(resource_type: str) -> None:
    text = json.dumps(message(resource_type, container(unread=[{"deep": "ü"}])), ensure_ascii=False).encode()
    assert quick_event(text) == Event(
        Kind.CHANGE,
        Reference("containers", "1i1"),
        1,
        PlainContainer(
            id="1i1",
            uuid="c1",
            state="running",
            name="Shop-Web-1",
            address=Address.parse("10.42.0.1"),
            network="1n1",
            host="1h1",
            stack="1st1",
            services=("1s1",),
            system=False,
            labels={"colour": "red"},
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"name":"ping"}',
        json.dumps(message("host", HOST)).encode(),
        json.dumps(message("container", None)).encode(),
        json.dumps(message("container", container(unread="?"))).encode().replace(b"?", b"\xff"),
        json.dumps(message("container", container(unread="?"))).encode().replace(b"?", b"\\ud800"),
        json.dumps(message("container", container())).encode() + b"]",
        json.dumps(message("container", {"uuid": "c1"})).encode(),
        *(
            json.dumps(message("container", container(primaryIpAddress=address))).encode()
            for address in ("", "10.42.0", "10.42.0.256", "10.42.0.01", "10.42.0.1 ", "fe80::1", 5, "10.42.0.٣")
        ),
        b'{"name":' + b"[" * 100_000,
    ],
    ids=lambda text: repr(text[-60:]),
)
def test_all_else_is_left_to_the_tolerant_way(text: bytes) -> None:
    assert quick_event(text) is None


def fresh() -> EventTranslator:
    translator = EventTranslator()
    learned = {"hosts": [HOST], "networks": [NETWORK], "stacks": [STACK], "services": [DB, service()]}
    for collection, resources in learned.items():
        translator.learn(collection, resources)
    return translator


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
TYPES = {"container": container(), "service": service(), "stack": STACK, "network": NETWORK, "host": HOST}
# What fields may well hold, each tried in every field.
LIKELY: tuple[object, ...] = (
    None, "", "1i1", "1s1", "1s2", "1st1", "1h1", "1n1", "running", "Removed", "STOPPED", "İ", "true", True, False,
    "10.42.0.9", "10.42.0.09", "::1", "::ffff:10.42.0.1", 0, 1, 1.0, 2**70, [], ["1s1"], ["1s2"], ["1s1", "1s2"], [""],
    [None], {}, {"a": "b"}, {"a": None}, {"a": 1}, {"io.rancher.service.launch.config": "Side"}, {"": ""},
)  # fmt: skip


def check_agreement(about: Json) -> None:
    quick = quick_event(json.dumps(about).encode())
    tolerant = event_of(json.loads(json.dumps(about)))
    if quick is None:
        return
    assert isinstance(tolerant, Event)
    assert (quick.kind, quick.reference) == (tolerant.kind, tolerant.reference)
    assert repr(quick.time) == repr(tolerant.time)
    first, second = fresh(), fresh()
    assert first.translate(quick) == second.translate(tolerant)
    # What each has learned from it is the same, too.
    follower = event_of(message("container", container(id="1i9", uuid="c9", networkContainerId="1i1"), "1i9"))
    assert isinstance(follower, Event)
    assert first.translate(follower) == second.translate(follower)


@pytest.mark.parametrize("field", sorted(container()))
def test_both_ways_agree_on_each_field(field: str) -> None:
    for value in LIKELY:
        check_agreement(message("container", container(**{field: value})))
    check_agreement(message("container", {name: value for name, value in container().items() if name != field}))


@pytest.mark.parametrize("field", sorted(message("container", None)))
def test_both_ways_agree_on_each_part_of_the_message(field: str) -> None:
    for value in (*LIKELY, "container", "instance", "service"):
        check_agreement(message("container", container()) | {field: value})


@st.composite
def container_messages(draw: st.DrawFn) -> Json:
    """About a container, with anything in some of the fields that are read, or without them."""
    values = st.sampled_from(LIKELY) | JSON
    resource = container(**draw(st.dictionaries(st.sampled_from(sorted(container())), values, max_size=4)))
    for name in draw(st.sets(st.sampled_from(sorted(resource)), max_size=3)):
        del resource[name]
    about = message(draw(st.sampled_from(["container", "instance"])), resource, draw(st.sampled_from(["1i1", "1i2"])))
    return about | draw(st.dictionaries(st.sampled_from(sorted(about)), values, max_size=1))


@given(container_messages())
def test_both_ways_agree(about: Json) -> None:
    check_agreement(about)


@pytest.mark.parametrize("field", sorted(container()))
def test_whatever_a_field_may_well_hold_is_read_quickly(field: str) -> None:
    """Else the agreement of the two ways would be one of nothing."""
    given: dict[str, Any] = {"serviceIds": [], "labels": {"a": "b"}, "primaryIpAddress": None, "system": True}
    text = json.dumps(message("container", container(**{field: given.get(field, "1x1")}))).encode()
    assert quick_event(text) is not None


def translated(given: object) -> Translation:
    event = event_of(given)
    if isinstance(event, Problem):
        return Translation(Kind.IGNORED, problems=(event,))
    return EventTranslator().translate(event)


@given(JSON)
def test_any_json_is_translated(given: object) -> None:
    assert translated(given).updates == ()
    assert quick_event(json.dumps(given).encode()) is None


@given(st.binary(max_size=50))
def test_any_bytes_are_taken(text: bytes) -> None:
    assert quick_event(text) is None


@given(st.sampled_from(sorted(TYPES)), st.data())
def test_any_field_may_be_anything(resource_type: str, data: st.DataObject) -> None:
    resource = dict(TYPES[resource_type])
    resource[data.draw(st.sampled_from(sorted(resource)))] = data.draw(JSON)
    about = message(resource_type, resource)
    about[data.draw(st.sampled_from([*sorted(about), "other"]))] = data.draw(JSON)
    translation = translated(about)
    assert all(problem.where and problem.message for problem in translation.problems)
    updated = [update.uuid for update in translation.updates if isinstance(update, ContainerUpdate | NetworkUpdate)]
    assert updated in ([], [resource["uuid"]])
