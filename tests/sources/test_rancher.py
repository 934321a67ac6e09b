from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import encode_basic_auth, web

from corral.errors import RefusedError, UnreachableError
from corral.sources.credentials import Credentials
from corral.sources.rancher import PAGES, ApiError, NetworkPolicy, RancherClient
from tests.sources.servers import http_server

Json = dict[str, Any]
AUTHORIZATION = encode_basic_auth("access", "sesame")
ERROR = {"type": "error", "status": 422, "code": "InvalidOption", "message": "bad action", "fieldName": "policy"}


@dataclass
class Api:
    """Answers each path as `routes` says: JSON, or a response."""

    routes: dict[str, object] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    bodies: list[object] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Authorization"] == AUTHORIZATION
        self.requests.append(request.path_qs)
        if request.can_read_body:
            self.bodies.append(await request.json())
        answer = self.routes.get(request.path_qs, self.routes.get(request.path))
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, web.Response):
            return answer
        if answer is None:
            return web.json_response({"type": "error", "status": 404, "code": "NotFound"}, status=404)
        return web.json_response(answer)


@asynccontextmanager
async def asking(api: Api, kind: type[RancherClient] = RancherClient, **options: Any) -> AsyncIterator[RancherClient]:
    async with (
        http_server(api.handle) as url,
        kind(Credentials.of(f"{url}/v1", "access", "sesame"), **options) as client,
    ):
        yield client


def page(*data: object, following: object = None) -> Json:
    return {"type": "collection", "data": list(data), "pagination": {"next": following}}


async def test_pages_are_followed() -> None:
    api = Api()

    def first(request: web.BaseRequest) -> Json:
        return page({"id": "1h1"}, following=f"http://{request.host}/v2-beta/hosts?marker=m2")

    api.routes = {
        "/v2-beta/hosts?limit=1000": first,
        "/v2-beta/hosts?marker=m2": page({"id": "1h2"}, following="/v2-beta/hosts?marker=m3"),
        "/v2-beta/hosts?marker=m3": {"data": [{"id": "1h3"}]},
    }
    async with asking(api) as client:
        assert await client.collection("hosts") == [{"id": "1h1"}, {"id": "1h2"}, {"id": "1h3"}]
    assert len(api.requests) == 3


@pytest.mark.parametrize("following", ["http://127.0.0.1:9/v2-beta/hosts", "https://127.0.0.1/x", "//other/x"])
async def test_pages_elsewhere_are_not_followed(following: str) -> None:
    api = Api({"/v2-beta/hosts": page(following=following)})
    async with asking(api) as client:
        with pytest.raises(UnreachableError, match="another origin"):
            await client.collection("hosts")


async def test_pages_without_end() -> None:
    api = Api({"/v2-beta/hosts": page(following="/v2-beta/hosts")})
    async with asking(api) as client:
        with pytest.raises(UnreachableError, match="more than 1000 pages"):
            await client.collection("hosts")
    assert len(api.requests) == PAGES


async def test_redirects_stay_on_the_same_origin() -> None:
    def moved(location: str) -> Callable[[object], web.Response]:
        return lambda _: web.Response(status=302, headers={"Location": location})

    api = Api({"/v2-beta/hosts": moved("/other"), "/other": page({"id": "1h1"})})
    async with asking(api) as client:
        assert await client.collection("hosts") == [{"id": "1h1"}]
        api.routes["/other"] = moved("http://127.0.0.1:9/stolen")
        with pytest.raises(UnreachableError, match=r"another origin, http://127\.0\.0\.1:9/stolen"):
            await client.collection("hosts")
        api.routes["/other"] = moved("http://[x")
        with pytest.raises(UnreachableError, match="which is no address"):
            await client.collection("hosts")
        api.routes["/other"] = moved("/v2-beta/hosts")
        with pytest.raises(UnreachableError, match="redirected elsewhere"):
            await client.collection("hosts")
        api.routes |= {"/v2-beta/networks/1n1": moved("/other"), "/other": {"id": "1n1"}}
        with pytest.raises(UnreachableError, match="redirected elsewhere"):
            await client.put_network("1n1", [], "deny")


async def test_a_resource() -> None:
    api = Api({"/v2-beta/containers/1i1": {"id": "1i1"}})
    async with asking(api) as client:
        assert await client.resource("containers", "1i1") == {"id": "1i1"}
        assert await client.resource("containers", "1i2") is None
        assert await client.resource("containers", "../hosts?x=1") is None
    assert api.requests[-1] == "/v2-beta/containers/..%2Fhosts%3Fx=1"


async def test_policies() -> None:
    network = {
        "id": "1n1",
        "uuid": "n1",
        "name": "ipsec",
        "policy": [{"action": "allow"}],
        "defaultPolicyAction": "deny",
    }
    api = Api({"/v2-beta/networks": page(network, 5)})
    async with asking(api) as client:
        assert await client.network_policies() == [
            NetworkPolicy(id="1n1", uuid="n1", name="ipsec", policy=[{"action": "allow"}], default_policy_action="deny")
        ]


async def test_a_policy_is_changed() -> None:
    def accept(request: web.BaseRequest) -> Json:
        assert request.method == "PUT"
        assert request.content_type == "application/json"
        return {"id": "1n1", **api.bodies[-1]}  # type: ignore[dict-item]

    api = Api({"/v2-beta/networks/1n1": accept})
    async with asking(api) as client:
        changed = await client.put_network("1n1", [{"within": "stack", "action": "allow"}], "deny")
    assert api.bodies == [{"defaultPolicyAction": "deny", "policy": [{"within": "stack", "action": "allow"}]}]
    assert (changed.policy, changed.default_policy_action) == ([{"within": "stack", "action": "allow"}], "deny")


async def test_the_api_says_what_is_wrong() -> None:
    api = Api({"/v2-beta/networks/1n1": lambda _: web.json_response(ERROR, status=422)})
    async with asking(api) as client:
        with pytest.raises(ApiError) as caught:
            await client.put_network("1n1", [], "maybe")
    assert (caught.value.status, caught.value.code, caught.value.field) == (422, "InvalidOption", "policy")
    for part in ("PUT http", "422", "InvalidOption", "bad action", "fieldName policy"):
        assert part in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": null}', b'{"message": {"a": 1}}'])
@pytest.mark.parametrize(
    ("status", "kind"), [(401, RefusedError), (403, RefusedError), (400, ApiError), (500, UnreachableError)]
)
async def test_other_failures(status: int, kind: type[Exception], body: bytes) -> None:
    api = Api({"/v2-beta/hosts": lambda _: web.Response(status=status, body=body)})
    async with asking(api) as client:
        with pytest.raises(kind, match=str(status)) as caught:
            await client.collection("hosts")
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda _: web.Response(body=b"<html>"), "the answer is no JSON"),
        ([], "an object is expected, [] given"),
        ({"data": {}}, "a collection is expected"),
        (lambda _: web.Response(body=b"x" * 2000), "larger than the allowed 1000 bytes"),
    ],
)
async def test_answers_that_are_none(answer: object, error: str) -> None:
    api = Api({"/v2-beta/hosts": answer})
    async with asking(api, size_limit=1000) as client:
        with pytest.raises(UnreachableError) as caught:
            await client.collection("hosts")
    assert error in str(caught.value)


async def test_an_answer_that_never_comes() -> None:
    async def silent(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with (
        http_server(silent) as url,
        RancherClient(Credentials.of(url, "access", "sesame"), timeout=0.1) as client,
    ):
        with pytest.raises(UnreachableError, match="no answer in time"):
            await client.collection("hosts")


async def test_a_server_without_tls_is_not_asked() -> None:
    async def handle(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(page())

    async with http_server(handle) as url:
        credentials = Credentials.of(url.replace("http", "https"), "access", "sesame")
        async with RancherClient(credentials, tls=ssl.create_default_context()) as client:
            with pytest.raises(UnreachableError, match="TLS fails"):
                await client.collection("hosts")


async def test_the_secret_is_shown_nowhere() -> None:
    api = Api({"/v2-beta/hosts": lambda _: web.Response(status=401)})
    async with asking(api) as client:
        with pytest.raises(RefusedError) as caught:
            await client.collection("hosts")
        shown = repr(client) + str(caught.value) + json.dumps(api.requests)
    assert "sesame" not in shown
    assert AUTHORIZATION.removeprefix("Basic ") not in shown


async def test_a_client_out_of_its_context() -> None:
    with pytest.raises(RuntimeError, match="outside its context"):
        await RancherClient(Credentials.of("http://server", "a", "s")).collection("hosts")


async def test_the_status_tells_whether_the_api_answers() -> None:
    """What it denies is an answer, too."""
    api = Api({"/v2-beta/hosts": page(), "/v2-beta/services/1s1": web.Response(status=503)})
    async with asking(api) as client:
        await client.probe()
        assert (client.status.connected, api.requests) == (True, ["/v2-beta/hosts?limit=1"])
        with pytest.raises(UnreachableError):
            await client.resource("services", "1s1")
        assert (client.status.connected, client.status.failures) == (False, 1)
        assert await client.resource("services", "1s2") is None
        assert (client.status.connected, client.status.failures) == (True, 0)
