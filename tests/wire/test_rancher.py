from __future__ import annotations

from typing import Any

import pytest

from corral.model.entities import DEAD_STATES, ServiceKey, StackKey
from corral.model.updates import ContainerUpdate, NetworkUpdate, ServiceUpdate, StackUpdate, Update
from corral.types import Address
from corral.wire.directory import Reference
from corral.wire.events import Event, Kind, event_of
from corral.wire.rancher import EventTranslator, Translation

Json = dict[str, Any]
SHOP = StackKey("", "shop")
WEB = ServiceKey("", "shop", "web")


def event(resource_type: str, resource: object) -> Event:
    message = {
        "name": "resource.change",
        "resourceType": resource_type,
        "resourceId": resource.get("id", "1x1") if isinstance(resource, dict) else "1x1",
        "data": {"resource": resource},
    }
    read = event_of(message)
    assert isinstance(read, Event)
    return read


def container(**fields: Any) -> Json:
    return {
        "id": "1i1",
        "type": "container",
        "uuid": "c1",
        "name": "Shop-Web-1",
        "state": "running",
        "primaryIpAddress": "10.42.0.1",
        "primaryNetworkId": "1n1",
        "networkContainerId": None,
        "hostId": "1h1",
        "stackId": "1st1",
        "serviceIds": ["1s1"],
        "labels": {"colour": "red"},
        "system": False,
        "removed": None,
    } | fields


def service(**fields: Any) -> Json:
    return {
        "id": "1s1",
        "type": "service",
        "uuid": "s1",
        "name": "Web",
        "stackId": "1st1",
        "state": "active",
        "system": False,
        "launchConfig": {"labels": {"tier": "front"}},
        "secondaryLaunchConfigs": [{"name": "Side", "labels": {"tier": "side"}}],
        "linkedServices": {"db": "1s2"},
        "removed": None,
    } | fields


STACK: Json = {"id": "1st1", "uuid": "st1", "name": "Shop", "system": True}
DB: Json = service(id="1s2", name="db", secondaryLaunchConfigs=None, linkedServices=None)
HOST: Json = {"id": "1h1", "uuid": "h1"}
NETWORK: Json = {
    "id": "1n1",
    "uuid": "n1",
    "state": "active",
    "policy": [{"action": "allow"}],
    "defaultPolicyAction": "deny",
}


@pytest.fixture
def translator() -> EventTranslator:
    """One that knows all that the resources above refer to."""
    translator = EventTranslator()
    collections = {"hosts": [HOST], "networks": [NETWORK], "stacks": [STACK], "services": [DB, service()]}
    for collection, resources in collections.items():
        assert translator.learn(collection, resources).unresolved == ()
    return translator


def updates(translator: EventTranslator, resource_type: str, resource: object) -> tuple[Update, ...]:
    translation = translator.translate(event(resource_type, resource))
    assert (translation.kind, translation.problems, translation.unresolved) == (Kind.CHANGE, (), ())
    return translation.updates


@pytest.mark.parametrize("resource_type", ["container", "instance"])
def test_a_container(translator: EventTranslator, resource_type: str) -> None:
    (update,) = updates(translator, resource_type, container())
    assert update == ContainerUpdate(
        "c1",
        {
            "name": "shop-web-1",
            "address": Address.parse("10.42.0.1"),
            "network": "n1",
            "host": "h1",
            "state": "running",
            "system": False,
            "stack": SHOP,
            "service": WEB,
            "labels": {"colour": "red"},
        },
    )


def test_only_what_is_mentioned_is_updated(translator: EventTranslator) -> None:
    bare = {"id": "1i1", "uuid": "c1", "state": "Starting"}
    assert updates(translator, "container", bare) == (ContainerUpdate("c1", {"state": "starting"}),)
    nothing = dict.fromkeys(container()) | {"id": "1i1", "uuid": "c1"}
    assert updates(translator, "container", nothing) == (ContainerUpdate("c1", {"address": None}),)


@pytest.mark.parametrize("state", sorted(DEAD_STATES))
def test_what_is_dead_needs_no_references(state: str) -> None:
    dead = container(state=state, serviceIds=["unknown"])
    assert updates(EventTranslator(), "container", dead) == (ContainerUpdate("c1", {"state": state}),)


@pytest.mark.parametrize("state", ["running", None, "removing"])
def test_a_removed_container_is_dead(state: str | None) -> None:
    removed = container(state=state, removed="2017-01-01T00:00:00Z")
    expected = state if state in DEAD_STATES else "removed"
    assert updates(EventTranslator(), "container", removed) == (ContainerUpdate("c1", {"state": expected}),)


@pytest.mark.parametrize(
    ("fields", "unresolved"),
    [
        ({"serviceIds": ["1s9"]}, ("services", "1s9")),
        ({"serviceIds": None, "stackId": "1st9"}, ("stacks", "1st9")),
        ({"primaryNetworkId": "1n9"}, ("networks", "1n9")),
        ({"hostId": "1h9"}, ("hosts", "1h9")),
        ({"networkContainerId": "1i9"}, ("containers", "1i9")),
    ],
)
def test_an_unknown_reference_holds_all_back(
    translator: EventTranslator, fields: Json, unresolved: tuple[str, str]
) -> None:
    translation = translator.translate(event("container", container(**fields)))
    assert (translation.updates, translation.problems) == ((), ())
    assert translation.unresolved == (Reference(*unresolved),)


def test_all_unknown_references_are_told_at_once() -> None:
    translation = EventTranslator().translate(event("container", container(networkContainerId="1i2")))
    assert {reference.collection for reference in translation.unresolved} == {
        "networks", "containers", "hosts", "services", "stacks",
    }  # fmt: skip


def test_what_is_learned_resolves(translator: EventTranslator) -> None:
    message = event("container", container(serviceIds=["1s9"]))
    translator.translate(message)
    translator.learn("services", [service(id="1s9", name="cart", stackId="1st9", linkedServices={})])
    assert translator.translate(message).unresolved == (Reference("stacks", "1st9"),)
    translator.learn("stacks", [{"id": "1st9", "name": "other"}])
    (update,) = translator.translate(message).updates
    assert isinstance(update, ContainerUpdate)
    assert update.fields["service"] == ServiceKey("", "other", "cart")
    assert update.fields["stack"] == StackKey("", "other")


def test_events_teach_as_well(translator: EventTranslator) -> None:
    updates(translator, "container", container(id="1i5", uuid="c5"))
    (update,) = updates(translator, "container", container(networkContainerId="1i5", primaryIpAddress=None))
    assert isinstance(update, ContainerUpdate)
    assert (update.fields["network_from"], update.fields["address"]) == ("c5", None)


@pytest.mark.parametrize("family", ["io.rancher", "io.pasturestack"])
@pytest.mark.parametrize(
    ("launched", "name"),
    [
        ("io.rancher.service.primary.launch.config", "web"),
        ("io.pasturestack.service.primary.launch.config", "web"),
        ("Side", "side"),
        ("db", "web"),
        ("", "web"),
    ],
)
def test_which_sidekick(translator: EventTranslator, family: str, launched: str, name: str) -> None:
    labels = {f"{family}.service.launch.config": launched, f"{family}.stack_service.name": "admin/root"}
    (update,) = updates(translator, "container", container(labels=labels))
    assert isinstance(update, ContainerUpdate)
    assert update.fields["service"] == ServiceKey("", "shop", name)


def test_labels_never_tell_the_service(translator: EventTranslator) -> None:
    labels = {"io.rancher.stack.name": "shop", "io.rancher.stack_service.name": "shop/web"}
    (update,) = updates(translator, "container", container(serviceIds=None, stackId=None, labels=labels))
    assert isinstance(update, ContainerUpdate)
    assert not {"stack", "service"} & set(update.fields)


def test_a_service_with_sidekicks_needs_labels_to_tell_which(translator: EventTranslator) -> None:
    (update,) = updates(translator, "container", container(labels=None))
    assert isinstance(update, ContainerUpdate)
    assert "service" not in update.fields
    (update,) = updates(translator, "container", container(labels=None, serviceIds=["1s2"]))
    assert isinstance(update, ContainerUpdate)
    assert update.fields["service"] == ServiceKey("", "shop", "db")


def test_a_container_of_several_services_is_left_to_the_metadata(translator: EventTranslator) -> None:
    (update,) = updates(translator, "container", container(serviceIds=["1s1", "1s2"]))
    assert isinstance(update, ContainerUpdate)
    assert "service" not in update.fields
    assert update.fields["stack"] == SHOP


@pytest.mark.parametrize("resource_type", ["service", "loadBalancerService", "dnsService", "externalService"])
def test_a_service(translator: EventTranslator, resource_type: str) -> None:
    assert updates(translator, resource_type, service()) == (
        ServiceUpdate(WEB, {"system": False, "labels": {"tier": "front"}, "links": ("shop/db",)}),
        ServiceUpdate(ServiceKey("", "shop", "side"), {"system": False, "primary": "web", "labels": {"tier": "side"}}),
    )


def test_links_need_all_their_services(translator: EventTranslator) -> None:
    message = event("service", service(linkedServices={"db": "1s2", "x": "1s8", "y": "1s9"}))
    translation = translator.translate(message)
    assert translation.updates == ()
    assert translation.unresolved == (Reference("services", "1s8"), Reference("services", "1s9"))


def test_links_that_are_not_mentioned_stay(translator: EventTranslator) -> None:
    (update, _) = updates(translator, "service", service(linkedServices=None))
    assert isinstance(update, ServiceUpdate)
    assert "links" not in update.fields
    (update, _) = updates(translator, "service", service(linkedServices={}))
    assert isinstance(update, ServiceUpdate)
    assert update.fields["links"] == ()


def test_a_removed_service_links_to_nothing(translator: EventTranslator) -> None:
    assert updates(translator, "service", service(state="removed")) == (ServiceUpdate(WEB, {"links": ()}),)
    assert translator.translate(event("container", container())).unresolved == (Reference("services", "1s1"),)


def test_the_end_of_a_service_does_not_touch_its_successor(translator: EventTranslator) -> None:
    updates(translator, "service", service(id="1s7"))
    assert updates(translator, "service", service(removed="2017-01-01")) == ()


def test_a_stack(translator: EventTranslator) -> None:
    assert updates(translator, "stack", STACK) == (StackUpdate(SHOP, system=True),)
    assert updates(translator, "stack", {"id": "1st1", "name": "shop"}) == ()


@pytest.mark.parametrize("collection", ["stacks", "hosts", "networks", "containers", "services"])
def test_what_is_removed_is_forgotten(translator: EventTranslator, collection: str) -> None:
    known = {"stacks": STACK, "hosts": HOST, "networks": NETWORK, "services": DB, "containers": container(id="1i5")}
    translator.learn(collection, [known[collection]])
    message = event("container", container(networkContainerId="1i5", serviceIds=["1s2"]))
    assert (translator.translate(message).unresolved == ()) is (collection == "containers")
    translator.learn(collection, [known[collection] | {"state": "purged"}])
    assert collection in {reference.collection for reference in translator.translate(message).unresolved}


def test_a_network(translator: EventTranslator) -> None:
    assert updates(translator, "network", NETWORK) == (
        NetworkUpdate("n1", {"state": "active", "policy": [{"action": "allow"}], "default_policy_action": "deny"}),
    )
    assert updates(translator, "network", {"id": "1n1", "uuid": "n1", "policy": None}) == (
        NetworkUpdate("n1", {"policy": None}),
    )
    assert updates(translator, "network", {"id": "1n1", "uuid": "n1"}) == ()


def test_a_host_is_only_learned(translator: EventTranslator) -> None:
    assert updates(translator, "host", {"id": "1h2", "uuid": "h2"}) == ()
    (update,) = updates(translator, "container", container(hostId="1h2"))
    assert isinstance(update, ContainerUpdate)
    assert update.fields["host"] == "h2"


def test_what_is_not_there_any_more_is_forgotten(translator: EventTranslator) -> None:
    translator.learn("hosts", [{"id": "1h2", "uuid": "h2"}])
    assert translator.translate(event("container", container())).unresolved == ()
    translator.forget_others("hosts", {Reference("hosts", "1h2")})
    assert translator.translate(event("container", container(hostId="1h2"))).unresolved == ()
    assert translator.translate(event("container", container())).unresolved == (Reference("hosts", "1h1"),)


def test_what_a_collection_says(translator: EventTranslator) -> None:
    learned = translator.learn("containers", [container(), container(id="1i2", uuid="c2", hostId="1h9"), 5])
    assert [type(update) for update in learned.updates] == [ContainerUpdate]
    assert learned.unresolved == (Reference("hosts", "1h9"),)
    assert [problem.where for problem in learned.problems] == ["container"]
    with pytest.raises(ValueError, match="volumes"):
        translator.learn("volumes", [{}])


def test_a_hint_is_to_be_looked_up(translator: EventTranslator) -> None:
    hint = Event(Kind.HINT, Reference("containers", "1i7"))
    assert translator.translate(hint) == Translation(Kind.HINT, unresolved=(Reference("containers", "1i7"),))


@pytest.mark.parametrize("kind", [Kind.PING, Kind.LOGOUT, Kind.IGNORED])
def test_what_is_about_no_resource_says_nothing(translator: EventTranslator, kind: Kind) -> None:
    assert translator.translate(Event(kind)) == Translation(kind)


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        (container(uuid=None), "uuid: missing; it is required"),
        (container(primaryIpAddress="ten"), "primaryIpAddress: 'ten' given; an IPv4 address"),
        (container(serviceIds="1s1"), "serviceIds: '1s1' given; a list is allowed"),
        (container(serviceIds=[5]), "serviceIds.0: 5 given; a string is allowed"),
        (container(hostId=5), "hostId: 5 given; a string is allowed"),
    ],
)
def test_problems_name_the_object(translator: EventTranslator, resource: Json, message: str) -> None:
    translation = translator.translate(event("container", resource))
    assert translation.updates == ()
    (problem,) = translation.problems
    assert problem.where.startswith("container 1i1 Shop-Web-1")
    assert message in problem.message


def test_deep_nesting_is_a_problem(translator: EventTranslator) -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"": deep}
    translation = translator.translate(event("container", container(labels={"a": deep})))
    (update,) = translation.updates
    assert isinstance(update, ContainerUpdate)
    assert update.fields["labels"] == {}
    assert translation.problems


def test_an_odd_field_counts_as_not_mentioned(translator: EventTranslator) -> None:
    odd = container(name=5, state=[], system="perhaps", labels={"colour": "red", "a": []})
    translation = translator.translate(event("container", odd))
    (update,) = translation.updates
    assert isinstance(update, ContainerUpdate)
    assert not {"name", "state", "system"} & set(update.fields)
    assert (update.fields["labels"], update.fields["service"]) == ({"colour": "red"}, WEB)
    (problem,) = translation.problems
    assert [part.split(":")[0] for part in problem.message.split("; ")[::2]] == ["state", "name", "system", "labels.a"]


def test_odd_labels_tell_no_sidekick(translator: EventTranslator) -> None:
    translation = translator.translate(event("container", container(labels=[])))
    (update,) = translation.updates
    assert isinstance(update, ContainerUpdate)
    assert not {"labels", "service"} & set(update.fields)
    assert len(translation.problems) == 1


def test_an_odd_field_of_a_service_counts_as_not_mentioned(translator: EventTranslator) -> None:
    translation = translator.translate(
        event(
            "service",
            service(
                system=[],
                launchConfig={"labels": {"tier": "front", "a": []}},
                linkedServices={"db": 5},
                secondaryLaunchConfigs=[
                    {"name": "Side", "labels": {"tier": "side", "a": []}},
                    {"name": "Other", "labels": 5},
                ],
            ),
        )
    )
    assert translation.updates == (
        ServiceUpdate(WEB, {"labels": {"tier": "front"}}),
        ServiceUpdate(ServiceKey("", "shop", "side"), {"primary": "web", "labels": {"tier": "side"}}),
        ServiceUpdate(ServiceKey("", "shop", "other"), {"primary": "web"}),
    )
    assert len(translation.problems) == 1


def test_an_odd_sidekick_is_never_left_out(translator: EventTranslator) -> None:
    """Else its containers would count as the primary's."""
    translation = translator.translate(event("service", service(secondaryLaunchConfigs=[{"name": 5}])))
    assert (translation.updates, len(translation.problems)) == ((), 1)


def test_what_is_odd_is_told_of_what_is_unresolved_too(translator: EventTranslator) -> None:
    translation = translator.translate(event("container", container(name=5, hostId="1h9")))
    assert (translation.updates, translation.unresolved) == ((), (Reference("hosts", "1h9"),))
    assert [problem.message for problem in translation.problems] == ["name: 5 given; a string is allowed"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"serviceIds": [], "stackId": None}, {"service": None}),
        ({"serviceIds": []}, {"service": None, "stack": SHOP}),
        ({"serviceIds": ["1s1"]}, {"service": WEB, "stack": SHOP}),
        ({"serviceIds": None}, {"stack": SHOP}),
        ({"serviceIds": None, "stackId": None}, {}),
    ],
)
def test_whose_a_container_is(translator: EventTranslator, given: Json, told: Json) -> None:
    (update,) = updates(translator, "container", container(**given))
    assert isinstance(update, ContainerUpdate)
    assert {name: value for name, value in update.fields.items() if name in ("service", "stack")} == told


@pytest.mark.parametrize("depth", [100, 1000])
def test_a_policy_nested_too_deeply_to_be_compared_is_one_that_is_refused(
    translator: EventTranslator, depth: int
) -> None:
    deep: Any = []
    for _ in range(depth):
        deep = [deep]
    (update,) = translator.translate(event("network", NETWORK | {"policy": deep})).updates
    assert isinstance(update, NetworkUpdate)
    assert update.fields["policy"] == "what is nested too deeply"
