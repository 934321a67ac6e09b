"""The health endpoint: read-only HTTP on loopback."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from corral.errors import CorralError, UsageError
from corral.web.views import AgentView, Which

VIEW: web.AppKey[AgentView] = web.AppKey("view")
Routes = list[web.RouteDef]
# What an address that can not be listened on gives. ValueError: a host that is no name, such as `a..b`.
UNUSABLE = (OSError, ValueError, OverflowError)
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def build_app(view: AgentView, listen_host: str, routes: Iterable[web.RouteDef] = ()) -> web.Application:
    """The application for one agent; `listen_host` is a `Host` to answer to, besides loopback's names.

    `routes` are those of the other modules here, each for a part of the agent.
    """
    app = web.Application(middlewares=[_errors, _guard(listen_host)])
    app[VIEW] = view
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/v1/state", _state)
    app.router.add_get("/v1/policy", _policy)
    app.router.add_get("/v1/ruleset", _ruleset)
    app.router.add_routes(routes)
    return app


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Listen while the context lasts; yields the port (for port 0). Raises UsageError when it can not."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, reuse_address=True)
        try:
            await site.start()
        except UNUSABLE as error:
            raise can_not_listen("CORRAL_LISTEN", host, port, error) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def can_not_listen(setting: str, host: str, port: int, error: Exception) -> UsageError:
    """What to raise for an address that the setting names."""
    reason = (isinstance(error, OSError) and error.strerror) or error
    return UsageError(f"{setting}: can not listen on {host}:{port}: {reason}")


def _guard(listen_host: str) -> Middleware:
    """Only GET and HEAD, only from here, and only for a Host that is us: a name rebound to loopback is refused."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in {"GET", "HEAD"}:
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
        if not _comes_from_here(request.transport):
            raise web.HTTPForbidden(text="loopback is asked from another machine or container")
        if not _is_us(request.host, listen_host):
            raise web.HTTPForbidden(text=f"Host {request.host!r} is neither loopback nor the listen address")
        return await handler(request)

    return guard


def _comes_from_here(transport: asyncio.Transport | None) -> bool:
    """Not so where the sysctl route_localnet of the bridge is on: then containers reach the host's loopback."""
    ours, peer = (transport and transport.get_extra_info(name) for name in ("sockname", "peername"))
    if not ours or not peer:  # it has gone
        return False
    return ipaddress.ip_address(peer[0]).is_loopback or not ipaddress.ip_address(ours[0]).is_loopback


def _is_us(host_header: str, listen_host: str) -> bool:
    try:
        host = (urlsplit(f"//{host_header}").hostname or "").lower()
    except ValueError:
        return False
    if host in {"localhost", listen_host.lower()}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except UsageError as error:
        return web.json_response({"error": str(error)}, status=400)
    except CorralError as error:
        return web.json_response({"error": str(error)}, status=503)
    except web.HTTPError as error:
        allowed = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return web.json_response({"error": error.text}, status=error.status, headers=allowed)


async def _healthz(request: web.Request) -> web.Response:
    _, health = request.app[VIEW].health()
    return web.json_response(health)


async def _readyz(request: web.Request) -> web.Response:
    ready, health = request.app[VIEW].health()
    return web.json_response(health, status=200 if ready else 503)


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=await request.app[VIEW].metrics(), headers={"Content-Type": METRICS_TYPE})


async def _state(request: web.Request) -> web.Response:
    return web.json_response(request.app[VIEW].state())


async def _policy(request: web.Request) -> web.Response:
    return web.json_response(request.app[VIEW].policy())


async def _ruleset(request: web.Request) -> web.Response:
    given = request.query.get("which", Which.DESIRED)
    if given not in list(Which):
        raise UsageError(f"which: {given!r} given; {', '.join(Which)} are allowed")
    return web.Response(text=await request.app[VIEW].ruleset(Which(given)))
