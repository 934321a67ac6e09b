from __future__ import annotations

import json

from corral.sandbox.subscriber import LONGEST_QUEUE
from corral.sandbox.world import Sandbox
from tests.sandbox.test_rancher_server import message, subscribed, until_closed


async def test_a_client_that_lets_messages_queue_up_is_cut_off(sandbox: Sandbox) -> None:
    async with subscribed(sandbox) as client:
        await message(client)
        for number in range(LONGEST_QUEUE + 1):  # at one go: the server has no time to send any of them
            sandbox.environment.add_stack(f"s{number}")
        assert (await until_closed(client)).rcvd is None


async def test_a_burst_below_the_limit_arrives_whole_and_in_order(sandbox: Sandbox) -> None:
    async with subscribed(sandbox) as client:
        await message(client)
        for number in range(LONGEST_QUEUE - 1):
            sandbox.environment.add_stack(f"s{number}")
        names = [json.loads(await client.recv())["data"]["resource"]["name"] for _ in range(LONGEST_QUEUE - 1)]
    assert names == [f"s{number}" for number in range(LONGEST_QUEUE - 1)]


async def test_each_subscriber_gets_everything_and_leaves_alone(sandbox: Sandbox) -> None:
    async with subscribed(sandbox) as one:
        async with subscribed(sandbox) as other:
            for client in (one, other):
                await message(client)
            sandbox.environment.add_stack("both")
            for client in (one, other):
                assert (await message(client))["resourceType"] == "stack"
        sandbox.environment.add_stack("later")
        assert (await message(one))["data"]["resource"]["name"] == "later"
