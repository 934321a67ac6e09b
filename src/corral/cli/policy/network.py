"""The managed network in Rancher's API: which one it is, its policy, and the change of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corral.config import Settings, load_settings
from corral.errors import UsageError
from corral.policy.document import PolicyDocument

if TYPE_CHECKING:
    from corral.sources.rancher import NetworkPolicy, RancherClient


@dataclass(frozen=True, slots=True)
class RancherNetwork:
    """A network as Rancher's API shows it, with its policy as it is written there."""

    id: str
    uuid: str
    name: str
    document: PolicyDocument

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"


def settings_with_credentials() -> Settings:
    """The settings. Raises UsageError when they have no credentials for Rancher's API."""
    settings = load_settings(os.environ)
    if not settings.has_credentials:
        raise UsageError(
            "no credentials for Rancher's API: set CORRAL_RANCHER_URL, CORRAL_RANCHER_ACCESS_KEY and "
            "CORRAL_RANCHER_SECRET_KEY (or the three PLATFORM_* or CATTLE_* variables)"
        )
    return settings


@asynccontextmanager
async def rancher(settings: Settings) -> AsyncIterator[RancherClient]:
    """A client for the API that the settings name."""
    from corral.sources.credentials import Credentials, tls_context  # noqa: PLC0415 - `--help` does without aiohttp
    from corral.sources.rancher import RancherClient  # noqa: PLC0415

    if settings.rancher_url is None or settings.rancher_access_key is None or settings.rancher_secret_key is None:
        raise RuntimeError("a client needs credentials")
    secret = settings.rancher_secret_key.get_secret_value()
    credentials = Credentials.of(settings.rancher_url, settings.rancher_access_key, secret)
    tls = tls_context(settings.ca_file) if credentials.base.startswith("https:") else None
    async with RancherClient(credentials, tls=tls) as client:
        yield client


async def managed_network(client: RancherClient, named: str | None, uuid: str | None) -> RancherNetwork:
    """The network that is meant: the one `named` by the user, else the agent's (its `uuid`), else the only candidate.

    Raises UsageError naming the candidates where there is more than one or none, UnreachableError without the API.
    """
    networks = [network_of(one) for one in await client.network_policies()]
    if named is not None:
        return _only(_called(networks, named), networks, f"--network: {named!r} given")
    if uuid is not None:
        known = [network for network in networks if network.uuid == uuid]
        return _only(
            known, networks, f"the agent's managed network {uuid} is not in the environment of these credentials"
        )
    with_policy = [one for one in networks if (one.document.policy, one.document.default_policy_action) != (None, None)]
    return _only(with_policy, networks, "which network is meant can not be told without an agent")


def network_of(network: NetworkPolicy) -> RancherNetwork:
    """What a client answers, as a value of ours."""
    document = PolicyDocument(network.policy, network.default_policy_action)
    return RancherNetwork(network.id, network.uuid, network.name, document)


def _called(networks: Iterable[RancherNetwork], name: str) -> list[RancherNetwork]:
    wanted = name.lower()
    return [one for one in networks if wanted in (one.id.lower(), one.uuid.lower(), one.name.lower())]


def _only(found: Sequence[RancherNetwork], networks: Iterable[RancherNetwork], why: str) -> RancherNetwork:
    if len(found) == 1:
        return found[0]
    candidates = ", ".join(sorted(map(str, found or networks))) or "there are none"
    raise UsageError(f"{why}; --network with a name, id or uuid is allowed: {candidates}")
