from __future__ import annotations

import pytest

from corral.model.entities import DEAD_STATES, Container, Host, Service, ServiceKey, StackKey
from tests.model.builders import service, service_key


def test_keys_print_as_people_write_them() -> None:
    assert str(StackKey("", "shop")) == "shop"
    assert str(StackKey("east/dev", "shop")) == "east/dev/shop"
    assert str(ServiceKey("", "shop", "web")) == "shop/web"
    assert str(ServiceKey("east/dev", "shop", "web")) == "east/dev/shop/web"


@pytest.mark.parametrize(
    ("given", "primary"),
    [
        (service("shop/web"), "shop/web"),
        (service("dev:shop/side", primary="web"), "dev:shop/web"),
        (Service(key=service_key("shop/web")), "shop/web"),
    ],
)
def test_a_service_counts_as_its_primary(given: Service, primary: str) -> None:
    assert given.primary_key == service_key(primary)


def test_a_container_is_live_but_in_dead_states() -> None:
    assert Container(uuid="a").live
    assert Container(uuid="a", state="starting").live
    assert not any(Container(uuid="a", state=state).live for state in DEAD_STATES)


def test_no_labels_can_not_be_changed() -> None:
    labels = [Container(uuid="a").labels, Host(uuid="h").labels, service("shop/web").labels]
    assert all(one == {} for one in labels)
    with pytest.raises(TypeError):
        Container(uuid="a").labels["x"] = "1"  # type: ignore[index]
