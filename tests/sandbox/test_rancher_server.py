"""The API and its event stream behave as Rancher's."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from corral.errors import UnreachableError
from corral.sandbox.exchange import Answer, request
from corral.sandbox.world import Sandbox

SERVER = "http://192.0.2.1:8080"
BASE = f"{SERVER}/v2-beta"


async def ask(sandbox: Sandbox, url: str, **options: Any) -> Answer:
    keys = (sandbox.rancher.access_key, sandbox.rancher.secret_key)
    return await request(sandbox.topology.hosts[0].namespace, url, **{"keys": keys, **options})


@asynccontextmanager
async def subscribed(sandbox: Sandbox, query: str = "eventNames=resource.change") -> AsyncIterator[ClientConnection]:
    opened = sandbox.topology.hosts[0].namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.setblocking(True)
    opened.connect(("192.0.2.1", 8080))
    keys = f"{sandbox.rancher.access_key}:{sandbox.rancher.secret_key}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(keys).decode()}"}
    url = f"ws://192.0.2.1:8080/v2-beta/subscribe?{query}"
    async with connect(url, sock=opened, additional_headers=headers, proxy=None) as client:
        yield client


async def message(client: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await client.recv())
    return found


async def until_closed(client: ClientConnection) -> ConnectionClosed:
    try:
        while True:
            await client.recv()
    except ConnectionClosed as closed:
        return closed


async def test_wrong_keys_are_refused(sandbox: Sandbox) -> None:
    for keys in (None, ("corral-sandbox", "wrong")):
        answer = await ask(sandbox, f"{BASE}/hosts", keys=keys)
        assert (answer.status, answer.json()["type"]) == (401, "error")
    sandbox.rancher.secret_key, kept = "changed", sandbox.rancher.secret_key
    assert (await ask(sandbox, f"{BASE}/hosts", keys=(sandbox.rancher.access_key, kept))).status == 401


async def test_wrong_keys_get_no_event_stream(sandbox: Sandbox) -> None:
    answer = await ask(sandbox, f"{BASE}/subscribe?eventNames=resource.change", keys=("a", "b"))
    assert answer.status == 401


@pytest.mark.parametrize("base", [f"{SERVER}/v1", BASE, f"{BASE}/projects/1a5", f"{SERVER}/v1/projects/1a5"])
async def test_collections_are_under_every_base(sandbox: Sandbox, base: str) -> None:
    for collection in ("hosts", "stacks", "services", "containers", "networks"):
        answer = (await ask(sandbox, f"{base}/{collection}")).json()
        assert answer["type"] == "collection"
        assert answer["pagination"]["next"] is None
        assert len(answer["data"]) == len(getattr(sandbox.environment.records, collection))


async def test_pages_hold_a_hundred_and_lead_on(sandbox: Sandbox) -> None:
    for number in range(230):
        sandbox.environment.add_stack(f"s{number}")
    seen: list[str] = []
    sizes, following = [], f"{BASE}/stacks"
    while following:
        page = (await ask(sandbox, following)).json()
        sizes.append(len(page["data"]))
        seen += [stack["id"] for stack in page["data"]]
        following = page["pagination"]["next"]
    assert sizes[:2] == [100, 100]
    assert seen == list(sandbox.environment.records.stacks)
    assert len((await ask(sandbox, f"{BASE}/stacks?limit=7")).json()["data"]) == 7


async def test_single_resources_and_what_is_missing(sandbox: Sandbox) -> None:
    container = sandbox.environment.container("one-a-1")
    shown = (await ask(sandbox, f"{BASE}/containers/{container.id}")).json()
    assert (shown["uuid"], shown["links"]["self"]) == (container.uuid, f"{BASE}/containers/{container.id}")
    for path in ("containers/1i999", "volumes", "projects/1a999/hosts", ""):
        assert (await ask(sandbox, f"{BASE}/{path}")).status == 404


async def test_a_policy_is_changed_by_put(sandbox: Sandbox) -> None:
    rules = [{"within": "stack", "action": "allow"}]
    url = f"{BASE}/projects/1a5/networks/{sandbox.environment.network.id}"
    answer = await ask(sandbox, url, method="PUT", body={"policy": rules, "defaultPolicyAction": "deny"})
    assert (answer.status, answer.json()["policy"]) == (200, rules)
    assert (await ask(sandbox, url, method="PUT", body={"defaultPolicyAction": "allow"})).status == 200
    network = sandbox.environment.network
    assert (network.policy, network.default_policy_action) == (rules, "allow")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("networks/{managed}", {"policy": [{"within": "house", "action": "allow"}]}, 422),
        ("networks/1n1", {"defaultPolicyAction": "deny"}, 422),
        ("hosts/1h1", {"name": "x"}, 405),
    ],
)
async def test_a_refused_change_changes_nothing(sandbox: Sandbox, path: str, body: object, status: int) -> None:
    before = sandbox.environment.network
    url = f"{BASE}/{path.format(managed=before.id)}"
    answer = await ask(sandbox, url, method="PUT", body=body)
    assert (answer.status, answer.json()["status"]) == (status, status)
    assert sandbox.environment.network == before


async def test_put_policy_tells_why_it_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(UnreachableError, match="maybe"):
        await sandbox.put_policy([], "maybe")


async def test_a_ping_comes_at_once_and_again(sandbox: Sandbox) -> None:
    sandbox.rancher.ping_interval = 0.01
    async with subscribed(sandbox) as client:
        assert [(await message(client))["name"] for _ in range(3)] == ["ping"] * 3


async def test_changes_are_told_with_the_resource_as_it_is(sandbox: Sandbox) -> None:
    async with subscribed(sandbox) as client:
        await message(client)
        sandbox.environment.set_state("one-a-1", "stopping")
        event = await message(client)
        container = sandbox.environment.container("one-a-1")
        assert (event["name"], event["resourceType"], event["resourceId"]) == (
            "resource.change",
            "container",
            container.id,
        )
        assert event["data"]["resource"]["state"] == "stopping"
        await sandbox.put_policy([], "deny")
        assert (await message(client))["data"]["resource"]["defaultPolicyAction"] == "deny"


async def test_the_event_name_is_required(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidStatus, match="422"):
        async with subscribed(sandbox, "eventNames=other"):
            pass


async def test_events_are_lost_doubled_and_delayed_on_demand(sandbox: Sandbox) -> None:
    copies = {"1st90": (), "1st91": (0.0, 0.0), "1st92": (0.02,), "1st93": (0.0,)}
    named = dict(zip(copies, ("lost", "double", "late", "plain"), strict=True))
    sandbox.rancher.deliver = lambda change: copies[next(i for i, n in named.items() if n == change.resource["name"])]
    async with subscribed(sandbox) as client:
        await message(client)
        for name in named.values():
            sandbox.environment.add_stack(name)
        got = [(await message(client))["data"]["resource"]["name"] for _ in range(4)]
    assert got == ["double", "double", "plain", "late"]


async def test_silence_holds_back_everything(sandbox: Sandbox) -> None:
    sandbox.rancher.ping_interval = 0.001
    async with subscribed(sandbox) as client:
        sandbox.rancher.silent = True
        sandbox.environment.add_stack("unheard")
        sandbox.rancher.send_text("end")
        names = []
        while (text := await client.recv()) != "end":
            names.append(json.loads(text)["name"])
        assert "resource.change" not in names


async def test_what_comes_to_again_sends_the_pings_that_are_overdue(sandbox: Sandbox) -> None:
    sandbox.rancher.ping_interval, sandbox.rancher.silent = 1000.0, True
    async with subscribed(sandbox) as client:
        sandbox.rancher.silent = False
        assert (await message(client))["name"] == "ping"


async def test_raw_text_and_logout(sandbox: Sandbox) -> None:
    async with subscribed(sandbox) as client:
        await message(client)
        sandbox.rancher.send_text("{no json")
        sandbox.rancher.logout()
        assert await client.recv() == "{no json"
        assert await message(client) == {"name": "logout"}


async def test_connections_end_with_and_without_a_word(sandbox: Sandbox) -> None:
    for end in (sandbox.rancher.close_connections, sandbox.rancher.stop):
        async with subscribed(sandbox) as client:
            await message(client)
            await end()
            closed = await until_closed(client)
            assert (closed.rcvd is not None) == (end == sandbox.rancher.close_connections)
    with pytest.raises(UnreachableError):
        await ask(sandbox, f"{BASE}/hosts")
    await sandbox.rancher.start()
    assert (await ask(sandbox, f"{BASE}/hosts")).status == 200
    async with subscribed(sandbox) as client:
        assert (await message(client))["name"] == "ping"
