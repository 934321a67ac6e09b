"""Names of ipsets, and their removal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from corral.dataplane.host.ipsets import destroy_ipset, ipset_names
from corral.dataplane.messages import Received
from corral.dataplane.netlink import InterruptedDumpError, NetlinkSocket
from corral.errors import UncertainError
from tests.dataplane.places import leave_rancher
from tests.kernel.namespaces import Namespace


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace() as created, created.entered():
        yield created


async def test_names(namespace: Namespace) -> None:
    assert await ipset_names() == ()
    namespace.run(*(f"ipset create set{number} hash:ip" for number in range(30)))
    assert set(await ipset_names()) == {f"set{number}" for number in range(30)}


async def test_only_the_named_set_goes_and_only_when_nothing_refers_to_it(namespace: Namespace) -> None:
    namespace.run("ipset create other hash:ip")
    leave_rancher(namespace, "iptables-legacy")
    assert not await destroy_ipset("RNCH-local")
    assert await destroy_ipset("TMP-RNCH-all")
    assert await destroy_ipset("absent")
    assert set(await ipset_names()) == {"other", "RNCH-local"}


async def test_an_answer_that_is_lost_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> list[Received]:
        raise InterruptedDumpError

    monkeypatch.setattr(NetlinkSocket, "dump", lost)
    with pytest.raises(UncertainError, match="ask again"):
        await ipset_names()
