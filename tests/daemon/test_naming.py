"""How ends of flows are called."""

from __future__ import annotations

from corral.daemon.naming import flow_end
from corral.types import Address

from .running import desk_of, small_environment


def test_an_end_has_its_name_its_address_and_its_party() -> None:
    desk = desk_of(small_environment())
    (address,) = (address for address, one in desk.endpoints.items() if "front/web" in map(str, one.services))
    end = flow_end(address, desk.endpoints, desk.inventory.containers)
    assert end == {"name": "front/web/front-web-1", "address": str(address), "party": "front/web"}


def test_what_is_no_endpoint_has_only_its_address() -> None:
    assert flow_end(Address.parse("10.42.9.9"), {}, {}) == {"name": None, "address": "10.42.9.9", "party": "10.42.9.9"}
