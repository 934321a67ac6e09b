"""The metadata service behaves as Rancher's, for a caller in the host's own network."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiohttp import web

from corral.errors import UnreachableError
from corral.sandbox.exchange import Answer, request
from corral.sandbox.metadata_server import MetadataServer
from corral.sandbox.world import Sandbox

from ..daemon.running import until

BASE = "http://169.254.169.250"
NEWEST = f"{BASE}/2016-07-29"


async def ask(sandbox: Sandbox, path: str, host: int = 0, accept: str = "application/json") -> Answer:
    return await request(sandbox.topology.hosts[host].namespace, path, headers={"Accept": accept})


async def version(sandbox: Sandbox) -> str:
    return str((await ask(sandbox, f"{NEWEST}/version")).json())


async def changed(sandbox: Sandbox, seen: str) -> Any:
    return (await ask(sandbox, f"{NEWEST}/version?wait=true&value={seen}&maxWait=60")).json()


async def test_the_root_is_one_json_document(sandbox: Sandbox) -> None:
    document = (await ask(sandbox, NEWEST)).json()
    assert {"containers", "services", "stacks", "hosts", "networks", "environments", "self", "version"} <= set(document)
    assert "one-a-1" in {container["name"] for container in document["containers"]}


async def test_plain_text_is_the_default(sandbox: Sandbox) -> None:
    assert "containers/\n" in (await ask(sandbox, NEWEST, accept="*/*")).body.decode()
    assert (await ask(sandbox, f"{NEWEST}/self/host/name", accept="*/*")).body == b"host1"
    assert b"0=host1\n" in (await ask(sandbox, f"{NEWEST}/hosts", accept="*/*")).body


async def test_self_is_the_host_that_is_asked(sandbox: Sandbox) -> None:
    names = [(await ask(sandbox, f"{NEWEST}/self/host", host)).json()["name"] for host in (0, 1)]
    assert names == ["host1", "host2"]


async def test_sub_paths_go_by_index_and_by_name(sandbox: Sandbox) -> None:
    by_name = (await ask(sandbox, f"{NEWEST}/services/b/stack_name")).json()
    assert by_name == "one"
    first = (await ask(sandbox, f"{NEWEST}/containers/0/name")).json()
    assert first == "ipsec-ipsec-1"


@pytest.mark.parametrize(
    "path", ["/2016-07-29/none", "/2016-07-29/containers/999", "/1999-01-01", "/2016-07-29/version/x"]
)
async def test_what_is_not_there_is_404(sandbox: Sandbox, path: str) -> None:
    assert (await ask(sandbox, BASE + path)).status == 404


async def test_older_dates_are_served(sandbox: Sandbox) -> None:
    dates = (await ask(sandbox, f"{BASE}/")).json()
    assert {"2015-07-25", "2015-12-19", "2016-07-29", "latest"} == set(dates)
    for date in dates:
        assert (await ask(sandbox, f"{BASE}/{date}/version")).status == 200


async def test_404_before_the_first_data(sandbox: Sandbox) -> None:
    server = sandbox.metadata[0]
    server.forget()
    assert (await ask(sandbox, NEWEST)).status == 404
    server.publish()
    assert (await ask(sandbox, NEWEST)).status == 200


async def test_every_reload_has_a_new_version(sandbox: Sandbox) -> None:
    before = await version(sandbox)
    sandbox.metadata[0].publish()
    assert await version(sandbox) != before


async def test_a_long_poll_answers_at_a_change(sandbox: Sandbox) -> None:
    seen = await version(sandbox)
    poll = asyncio.create_task(changed(sandbox, seen))
    await ask(sandbox, NEWEST)
    assert not poll.done()
    sandbox.environment.add_stack("late")
    assert await poll != seen
    assert (await ask(sandbox, f"{NEWEST}/stacks/late/name")).json() == "late"


async def test_a_long_poll_with_an_old_value_answers_at_once(sandbox: Sandbox) -> None:
    assert await changed(sandbox, "old") == await version(sandbox)


async def test_a_long_poll_ends_with_the_old_value(sandbox: Sandbox) -> None:
    seen = await version(sandbox)
    begin = time.monotonic()
    answer = await ask(sandbox, f"{NEWEST}/version?wait=true&value={seen}&maxWait=0.1")
    assert answer.json() == seen
    assert time.monotonic() - begin >= 0.1


async def test_trails_by_its_lag_and_shows_what_was_then(sandbox: Sandbox) -> None:
    environment, host = sandbox.environment, sandbox.topology.hosts[1]
    await sandbox.metadata[1].close()
    server = MetadataServer(environment, 1, host.namespace, lag=0.3)
    await server.start()
    seen = server.version
    begin = time.monotonic()
    environment.add_stack("first")
    poll = asyncio.create_task(
        request(host.namespace, f"{NEWEST}/version?wait=true&value={seen}&maxWait=60", patience=20)
    )
    await request(host.namespace, NEWEST)  # by now the server has taken its picture
    environment.add_stack("second")
    await poll
    assert time.monotonic() - begin >= 0.3
    names = {stack["name"] for stack in (await ask(sandbox, f"{NEWEST}/stacks", 1)).json()}
    assert "first" in names
    assert "second" not in names
    await request(host.namespace, f"{NEWEST}/version?wait=true&value={server.version}&maxWait=60", patience=20)
    assert (await ask(sandbox, f"{NEWEST}/stacks/second", 1)).status == 200
    await server.close()


async def test_holding_keeps_the_picture_until_released(sandbox: Sandbox) -> None:
    server, seen = sandbox.metadata[0], await version(sandbox)
    server.hold()
    elsewhere = f"{NEWEST}/version?wait=true&value={sandbox.metadata[1].version}&maxWait=60"
    sandbox.environment.add_stack("held")
    await ask(sandbox, elsewhere, 1)  # the other host's server has caught up, as the held one would have
    assert await version(sandbox) == seen
    poll = asyncio.create_task(changed(sandbox, seen))
    server.hold(holding=False)
    await poll
    assert (await ask(sandbox, f"{NEWEST}/stacks/held")).status == 200


async def test_garbled_answers_on_demand(sandbox: Sandbox) -> None:
    sandbox.metadata[0].garbled = b'{"containers": ['
    assert (await ask(sandbox, NEWEST)).body == b'{"containers": ['
    sandbox.metadata[0].garbled = None
    assert (await ask(sandbox, NEWEST)).json()


async def test_a_fault_answers_in_its_place_and_ends_long_polls(sandbox: Sandbox) -> None:
    server, seen = sandbox.metadata[0], await version(sandbox)

    async def fault(_: web.Request) -> web.Response:
        return web.Response(status=500)

    poll = asyncio.create_task(ask(sandbox, f"{NEWEST}/version?wait=true&value={seen}&maxWait=60"))
    await until(lambda: server.polled == seen)
    server.fault = fault
    server.publish()
    assert (await poll).status == 500
    server.fault = None
    assert (await ask(sandbox, NEWEST)).status == 200


async def test_stops_and_starts_again(sandbox: Sandbox) -> None:
    server, seen = sandbox.metadata[0], await version(sandbox)
    poll = asyncio.create_task(changed(sandbox, seen))
    await ask(sandbox, NEWEST)
    await server.stop()
    with pytest.raises(UnreachableError):
        await poll
    with pytest.raises(UnreachableError):
        await ask(sandbox, NEWEST)
    assert not server.running
    await server.start()
    assert await version(sandbox) == seen
