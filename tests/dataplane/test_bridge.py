"""The bridge's own switch, read and set, in a kernel that has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from corral.dataplane.bridge import BridgeFiltering, bridge_filtering, enable_bridge_filtering
from corral.errors import DataplaneError
from tests.kernel.namespaces import Namespace, set_bridge_filtering_everywhere


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """With bridges `br0` and `br1`, a `veth0`, and all switches off."""
    with Namespace() as created, created.entered():
        set_bridge_filtering_everywhere(created, on=False)
        created.run(
            "ip link add br0 type bridge", "ip link add br1 type bridge", "ip link add veth0 type veth peer name veth1"
        )
        yield created


async def test_whether_tagged_frames_are_looked_into(namespace: Namespace) -> None:
    namespace.run("sysctl --quiet --write net.bridge.bridge-nf-filter-vlan-tagged=1")
    assert await bridge_filtering("br0") == BridgeFiltering(ipv4=False, ipv6=False, tagged=True)


@pytest.mark.usefixtures("namespace")
async def test_the_switches_of_one_bridge() -> None:
    assert await bridge_filtering("br0") == BridgeFiltering(ipv4=False, ipv6=False)
    await enable_bridge_filtering("br0", ipv6=False)
    assert await bridge_filtering("br0") == BridgeFiltering(ipv4=True, ipv6=False)
    await enable_bridge_filtering("br0", ipv6=True)
    assert await bridge_filtering("br0") == BridgeFiltering(ipv4=True, ipv6=True)
    assert await bridge_filtering("br1") == BridgeFiltering(ipv4=False, ipv6=False)


async def test_the_switches_of_the_namespace(namespace: Namespace) -> None:
    set_bridge_filtering_everywhere(namespace, on=True)
    found = await bridge_filtering("br0")
    assert found == BridgeFiltering(ipv4=False, ipv6=False, everywhere_ipv4=True, everywhere_ipv6=True)
    assert found is not None
    assert found.filters_ipv4
    assert found.filters_ipv6


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("name", ["absent", "veth0", "a-name-that-is-longer-than-names-are", ""])
async def test_what_is_no_bridge_is_none(name: str) -> None:
    assert await bridge_filtering(name) is None
    with pytest.raises(DataplaneError, match=f"bridge {name}:"):
        await enable_bridge_filtering(name, ipv6=True)


def test_what_filters() -> None:
    assert not BridgeFiltering(None, None).supported
    assert not BridgeFiltering(None, None, everywhere_ipv4=True).filters_ipv4
    assert BridgeFiltering(ipv4=True, ipv6=False).filters_ipv4
    assert not BridgeFiltering(ipv4=True, ipv6=False).filters_ipv6
    assert BridgeFiltering(ipv4=False, ipv6=False, everywhere_ipv6=True).filters_ipv6
    assert not BridgeFiltering(ipv4=False, ipv6=False, everywhere_ipv6=True).filters_ipv4


@pytest.mark.usefixtures("namespace")
async def test_a_kernel_without_br_netfilter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("corral.dataplane.bridge._SWITCHES", tmp_path / "absent")
    assert await bridge_filtering("br0") == BridgeFiltering(ipv4=None, ipv6=None)


@pytest.mark.usefixtures("namespace")
async def test_a_module_that_goes_while_its_switches_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory was there, the files are not."""
    monkeypatch.setattr("corral.dataplane.bridge._SWITCHES", tmp_path)
    assert await bridge_filtering("br0") == BridgeFiltering(None, None)
