from __future__ import annotations

import pytest

from corral.model.entities import ServiceKey, StackKey
from corral.wire.directory import Directory, Lookups, Reference, UnresolvedError
from corral.wire.resources import ServiceResource

WEB = ServiceResource.model_validate(
    {"id": "1s1", "name": "Web", "stackId": "1st1", "secondaryLaunchConfigs": [{"name": "Side"}]}
)


def test_a_service_is_found_through_its_stack() -> None:
    directory = Directory()
    directory.add_service(WEB)
    with pytest.raises(UnresolvedError) as caught:
        directory.service("1s1")
    assert caught.value.references == (Reference("stacks", "1st1"),)
    assert directory.add_stack("1st1", "shop") == StackKey("", "shop")
    assert directory.service("1s1") == ServiceKey("", "shop", "web")
    assert directory.sidekicks("1s1") == {"side"}
    directory.add_stack("1st1", "store")
    assert directory.service("1s1").stack == "store"


@pytest.mark.parametrize("collection", ["host", "network", "stack", "service", "container", "sidekicks"])
def test_what_is_unknown_is_named(collection: str) -> None:
    with pytest.raises(UnresolvedError) as caught:
        getattr(Directory(), collection)("1x1")
    ((name, resource_id),) = caught.value.references
    assert (name.removesuffix("s"), resource_id) == (collection.replace("sidekicks", "service"), "1x1")


def test_forgetting() -> None:
    directory = Directory(hosts={"1h1": "a", "1h2": "b"})
    directory.forget(Reference("hosts", "1h1"))
    directory.forget(Reference("hosts", "1h9"))
    assert directory.hosts == {"1h2": "b"}
    directory.forget_all("hosts")
    assert directory.hosts == {}


def test_lookups_gather_what_they_miss() -> None:
    directory, lookups = Directory(hosts={"1h1": "a"}), Lookups()
    assert lookups.take(directory.host, "1h1") == "a"
    lookups.done()
    assert lookups.take(directory.host, "1h2") is None
    lookups.take(directory.stack, "1st1")
    lookups.take(directory.host, "1h2")
    with pytest.raises(UnresolvedError) as caught:
        lookups.done()
    assert caught.value.references == (Reference("hosts", "1h2"), Reference("stacks", "1st1"))
