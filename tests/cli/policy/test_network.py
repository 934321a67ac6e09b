"""Which network is meant, by name, by the agent, or because there is no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from corral.cli.policy.network import RancherNetwork, managed_network, rancher, settings_with_credentials
from corral.config import load_settings
from corral.errors import UsageError
from corral.sandbox.records import NetworkRecord

from ..managed import Managed, managed


async def found(place: Managed, named: str | None = None, uuid: str | None = None) -> RancherNetwork:
    async with rancher(load_settings(place.variables)) as client:
        return await managed_network(client, named, uuid)


@pytest.mark.parametrize("name", ["ipsec", "IPsec", "1n5", "uuid"])
async def test_by_name_id_or_uuid(name: str, tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        network = place.running.environment.network
        one = await found(place, named=network.uuid if name == "uuid" else name)
        assert (one.id, one.uuid, one.name, one.document.as_json()) == ("1n5", network.uuid, "ipsec", place.held)
        assert str(one) == "ipsec (1n5)"


async def test_the_agents_or_the_only_one_with_a_policy(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        uuid = place.running.environment.network.uuid
        assert (await found(place)).uuid == (await found(place, uuid=uuid)).uuid == uuid
        with pytest.raises(UsageError, match="network other is not in the environment of these credentials"):
            await found(place, uuid="other")
        place.running.environment.set_policy(None, None)
        with pytest.raises(UsageError, match=r"can not be told without an agent; --network .*: bridge \(1n4\), .*none"):
            await found(place)


async def test_two_of_one_name_are_told_apart(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        place.running.environment.records.put(NetworkRecord(id="1n9", uuid="u9", name="ipsec", kind="cniNetwork"))
        with pytest.raises(UsageError, match=r"--network: 'ipsec' given; .*: ipsec \(1n5\), ipsec \(1n9\)"):
            await found(place, named="ipsec")
        assert (await found(place, named="u9")).id == "1n9"


def test_credentials_are_a_must(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORRAL_RANCHER", "PLATFORM", "CATTLE"):
        for field in ("URL", "ACCESS_KEY", "SECRET_KEY"):
            monkeypatch.delenv(f"{name}_{field}", raising=False)
    with pytest.raises(UsageError, match="no credentials for Rancher's API"):
        settings_with_credentials()
    for field, value in (("URL", "http://127.0.0.1:1"), ("ACCESS_KEY", "a"), ("SECRET_KEY", "b")):
        monkeypatch.setenv(f"CATTLE_{field}", value)
    assert settings_with_credentials().rancher_url == "http://127.0.0.1:1"
