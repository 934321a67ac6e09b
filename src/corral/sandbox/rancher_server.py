"""The embedded Rancher's API: collections, policy changes, and the event stream; with faults on demand."""

from __future__ import annotations

import asyncio
import base64
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from corral.sandbox.environment import Environment, ResourceChange
from corral.sandbox.namespace import Namespace
from corral.sandbox.policy_input import find_fault
from corral.sandbox.resources import COLLECTIONS, Json, render_resource
from corral.sandbox.serving import Server
from corral.sandbox.subscriber import Subscriber
from corral.sandbox.topology import SERVER_ADDRESS

PAGE = 100
_PATH = re.compile(r"/(?P<version>v1|v2-beta)(?:/projects/(?P<project>[^/]+))?(?:/(?P<rest>.*))?")


def deliver_at_once(_: ResourceChange) -> Sequence[float]:
    """Every event once, without delay."""
    return (0.0,)


class RancherServer(Server):
    """Serves one environment.

    For tests: `deliver` tells for each event after how many seconds each copy of it is sent (no copy: lost);
    `silent` keeps connections open but sends nothing, not even pings; the keys may be changed at any time.
    """

    def __init__(
        self, environment: Environment, namespace: Namespace, *, address: str = SERVER_ADDRESS, port: int = 8080
    ) -> None:
        super().__init__(namespace, address, port)
        self.url = f"http://{address}:{port}/v1"
        self.access_key, self.secret_key = "corral-sandbox", uuid.uuid4().hex
        self.ping_interval = 5.0
        self.deliver: Callable[[ResourceChange], Sequence[float]] = deliver_at_once
        self._silent = False
        self.subscribers: list[Subscriber] = []
        self._environment = environment
        environment.listeners.append(self._publish)

    @property
    def silent(self) -> bool:
        return self._silent

    @silent.setter
    def silent(self, silent: bool) -> None:
        """A server that comes to again sends at once the pings that are overdue."""
        self._silent = silent
        ping = self._ping()
        if ping is not None:
            self.send_text(ping)

    def build_application(self) -> web.Application:
        """One handler for every path: versions and projects are prefixes."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        return application

    async def stop(self) -> None:
        """Close everything; clients see their connections end."""
        self.drop_connections()
        await super().stop()

    def drop_connections(self) -> None:
        """Cut every event stream without a word, as a dying server does."""
        for subscriber in tuple(self.subscribers):
            subscriber.abort()

    async def close_connections(self) -> None:
        """End every event stream properly, as the server does after about 12 hours."""
        await asyncio.gather(*(subscriber.close() for subscriber in tuple(self.subscribers)))

    def send_text(self, text: str) -> None:
        """Send any text to every subscriber."""
        for subscriber in tuple(self.subscribers):
            subscriber.send(text)

    def logout(self) -> None:
        """Tell every subscriber that its session is over."""
        self.send_text('{"name":"logout"}')

    def _publish(self, change: ResourceChange) -> None:
        if not self.subscribers:
            return
        text = _event(change)
        for delay in self.deliver(change):
            if delay:
                asyncio.get_running_loop().call_later(delay, self._send, text)
            else:
                self._send(text)

    def _send(self, text: str) -> None:
        if not self.silent:
            self.send_text(text)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if not self._authorized(request.headers):
            return _error(401, "Unauthorized", "the keys are not known")
        match = _PATH.fullmatch(request.path.rstrip("/"))
        if match is None or match["project"] not in (None, self._environment.project_id):
            return _error(404, "NotFound", request.path)
        collection, _, resource_id = (match["rest"] or "").partition("/")
        if collection == "subscribe":
            return await self._subscribe(request)
        if collection not in COLLECTIONS:
            return _error(404, "NotFound", request.path)
        if not resource_id:
            return self._collection(request, collection)
        return await self._resource(request, collection, resource_id)

    def _authorized(self, headers: Mapping[str, str]) -> bool:
        keys = f"{self.access_key}:{self.secret_key}".encode()
        return headers.get("Authorization") == f"Basic {base64.b64encode(keys).decode()}"

    def _collection(self, request: web.Request, collection: str) -> web.Response:
        limit = int(request.query.get("limit", PAGE))
        start = int(request.query.get("marker", "m0").removeprefix("m"))
        records = list(self._records(collection).values())
        more = len(records) > start + limit
        following = request.url.update_query(limit=limit, marker=f"m{start + limit}") if more else None
        return _json(
            {
                "type": "collection",
                "resourceType": collection.removesuffix("s"),
                "data": [
                    self._linked(request, collection, render_resource(self._environment.records, record))
                    for record in records[start : start + limit]
                ],
                "pagination": {"limit": limit, "next": str(following) if following else None, "partial": more},
            }
        )

    async def _resource(self, request: web.Request, collection: str, resource_id: str) -> web.Response:
        record = self._records(collection).get(resource_id)
        if record is None:
            return _error(404, "NotFound", resource_id)
        if request.method == "PUT":
            if collection != "networks":
                return _error(405, "MethodNotAllowed", "only networks can be changed here")
            return await self._change_network(request, resource_id)
        return _json(self._linked(request, collection, render_resource(self._environment.records, record)))

    async def _change_network(self, request: web.Request, resource_id: str) -> web.Response:
        try:
            body = msgspec.json.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _error(400, "InvalidBodyContent", "the body is no JSON")
        fault = find_fault(body)
        if fault is not None:
            return _error(422, fault.code, fault.message, fault.field)
        network = self._environment.network
        if resource_id != network.id:
            return _error(422, "InvalidOption", "only the managed network has a policy", "policy")
        network = self._environment.set_policy(
            body.get("policy", network.policy), body.get("defaultPolicyAction", network.default_policy_action)
        )
        return _json(self._linked(request, "networks", render_resource(self._environment.records, network)))

    def _records(self, collection: str) -> Mapping[str, Any]:
        records: Mapping[str, Any] = getattr(self._environment.records, collection)
        return records

    def _linked(self, request: web.Request, collection: str, resource: Json) -> Json:
        base = request.url.origin()
        version = request.path.split("/")[1]
        return resource | {"links": {"self": f"{base}/{version}/{collection}/{resource['id']}"}}

    async def _subscribe(self, request: web.Request) -> web.StreamResponse:
        if "resource.change" not in request.query.getall("eventNames", []):
            return _error(422, "MissingRequired", "eventNames is required", "eventNames")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        subscriber = Subscriber(socket, request.transport)
        self.subscribers.append(subscriber)
        try:
            await subscriber.serve(self._ping, lambda: self.ping_interval)
        finally:
            self.subscribers.remove(subscriber)
        return socket

    def _ping(self) -> str | None:
        return None if self.silent else _text({"name": "ping", "id": str(uuid.uuid4()), "time": _now()})


def _event(change: ResourceChange) -> str:
    return _text(
        {
            "name": "resource.change",
            "id": str(uuid.uuid4()),
            "time": _now(),
            "resourceType": change.type,
            "resourceId": change.id,
            "data": {"resource": change.resource},
        }
    )


def _now() -> int:
    return int(time.time() * 1000)


def _text(message: Json) -> str:
    return msgspec.json.encode(message).decode()


def _json(body: Json, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _error(status: int, code: str, message: str, field: str | None = None) -> web.Response:
    return _json({"type": "error", "status": status, "code": code, "message": message, "fieldName": field}, status)
