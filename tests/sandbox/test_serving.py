from __future__ import annotations

from aiohttp import web

from corral.sandbox.exchange import request
from corral.sandbox.serving import Server
from corral.sandbox.world import Sandbox


class Greeter(Server):
    def build_application(self) -> web.Application:
        async def greet(_: web.Request) -> web.Response:
            return web.Response(text="hello")

        application = web.Application()
        application.router.add_get("/", greet)
        return application


async def test_starting_and_stopping_twice_is_fine(sandbox: Sandbox) -> None:
    namespace = sandbox.namespace("one-a-1")
    server = Greeter(namespace, str(sandbox.address("one-a-1")), 9000)
    await server.stop()
    for _ in range(2):
        await server.start()
        await server.start()
        assert server.running
        answer = await request(namespace, f"http://{sandbox.address('one-a-1')}:9000/")
        assert answer.body == b"hello"
        await server.stop()
        assert not server.running


async def test_each_namespace_has_its_own_ports(sandbox: Sandbox) -> None:
    names = ("one-a-1", "one-a-2")
    servers = [Greeter(sandbox.namespace(name), "0.0.0.0", 9000) for name in names]  # noqa: S104
    for server in servers:
        await server.start()
    for server in servers:
        await server.stop()
