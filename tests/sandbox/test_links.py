from __future__ import annotations

from collections.abc import Iterator

import pytest

from corral.errors import UnsupportedError
from corral.sandbox.links import Links
from corral.sandbox.namespace import Namespace


@pytest.fixture
def links() -> Iterator[Links]:
    made = Links(Namespace.create())
    yield made
    made.close()
    made.namespace.close()


def test_a_pair_joins_a_bridge_and_another_namespace(links: Links) -> None:
    other = Links(Namespace.create())
    links.add_bridge("br0")
    links.add_pair("port", "eth0", other.namespace, bridge="br0", hardware="02:00:00:00:00:01")
    assert links.index("port") > links.index("br0")
    assert other.index("eth0")
    other.close()
    other.namespace.close()


def test_removing_one_end_removes_both_and_again_is_fine(links: Links) -> None:
    other = Links(Namespace.create())
    links.add_bridge("br0")
    links.add_pair("port", "eth0", other.namespace, bridge="br0", hardware="02:00:00:00:00:01")
    links.remove("port")
    links.remove("port")
    with pytest.raises(OSError, match=r"no interface|No such"):
        other.index("eth0")
    other.close()
    other.namespace.close()


def test_a_link_that_can_not_be_made_is_told(links: Links) -> None:
    links.add_bridge("br0")
    with pytest.raises(UnsupportedError, match="bridge"):
        links.add_bridge("br0")
