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
    lookups = Lookups(directory)
    assert lookups.service("1s1") is None
    with pytest.raises(UnresolvedError) as caught:
        lookups.done()
    assert caught.value.references == (Reference("stacks", "1st1"),)
    assert directory.add_stack("1st1", "shop") == StackKey("", "shop")
    assert Lookups(directory).service("1s1") == ServiceKey("", "shop", "web")
    assert directory.services["1s1"].sidekicks == {"side"}
    directory.add_stack("1st1", "store")
    assert Lookups(directory).service("1s1") == ServiceKey("", "store", "web")


@pytest.mark.parametrize("collection", ["host", "network", "stack", "service", "container"])
def test_what_is_unknown_is_named(collection: str) -> None:
    lookups = Lookups(Directory())
    assert getattr(lookups, collection)("1x1") is None
    with pytest.raises(UnresolvedError) as caught:
        lookups.done()
    assert caught.value.references == (Reference(f"{collection}s", "1x1"),)


def test_forgetting() -> None:
    directory = Directory(hosts={"1h1": "a", "1h2": "b"})
    directory.forget(Reference("hosts", "1h1"))
    directory.forget(Reference("hosts", "1h9"))
    assert directory.hosts == {"1h2": "b"}
    directory.hosts["1h3"] = "c"
    directory.forget_others("hosts", {"1h3", "1h9"})
    assert directory.hosts == {"1h3": "c"}


def test_lookups_gather_what_they_miss() -> None:
    directory = Directory(hosts={"1h1": "a"}, networks={"1n1": "b"}, containers={"1i1": "c"})
    lookups = Lookups(directory)
    assert (lookups.host("1h1"), lookups.network("1n1"), lookups.container("1i1")) == ("a", "b", "c")
    lookups.done()
    assert lookups.host("1h2") is None
    lookups.stack("1st1")
    lookups.host("1h2")
    with pytest.raises(UnresolvedError) as caught:
        lookups.done()
    assert caught.value.references == (Reference("hosts", "1h2"), Reference("stacks", "1st1"))
