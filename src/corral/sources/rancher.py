"""Rancher's REST API: collections, single resources, and a network's policy."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urljoin

import aiohttp
import msgspec

from corral.errors import UnreachableError
from corral.sources.credentials import Credentials, origin
from corral.sources.failures import REFUSALS, mapped, status_failure
from corral.sources.http import MEBIBYTE, parse_json, read_bounded
from corral.sources.status import SourceStatus
from corral.wire.fields import shown

PAGE = 1000
PAGES = 1000
REDIRECTS = frozenset({301, 302, 303, 307, 308})
REDIRECT_HOPS = 3


class ApiError(UnreachableError):
    """The API answers, but not with what was asked for: `status`, and `code` and `field` where it says them."""

    def __init__(self, message: str, *, status: int, code: str = "", field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy:
    """What a network resource says of its policy; both as decoded JSON."""

    id: str
    uuid: str
    name: str
    policy: object
    default_policy_action: object


class RancherClient:
    """The API of one environment. Use as an asynchronous context manager.

    Every method raises UnreachableError: RefusedError for bad credentials, ApiError for what the API refuses.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        tls: ssl.SSLContext | None = None,
        timeout: float = 30.0,
        size_limit: int = 64 * MEBIBYTE,
        status: SourceStatus | None = None,
    ) -> None:
        self.status = status or SourceStatus("api")
        self._credentials = credentials
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, 5.0))
        self._size_limit = size_limit
        self._session: aiohttp.ClientSession | None = None
        self.server_date = ""  # the server's clock as the last answer told it, in HTTP's form

    def __repr__(self) -> str:
        return f"RancherClient({self._credentials.base!r})"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True),
            headers={"Authorization": self._credentials.authorization, "Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def collection(self, name: str) -> list[object]:
        """All resources of a collection."""
        return [resource async for page in self.pages(name) for resource in page]

    async def pages(self, name: str) -> AsyncGenerator[list[object]]:
        """The same, page after page: what the API says of 65,534 containers is hundreds of megabytes."""
        url = f"{self._credentials.base}/{quote(name, safe='')}?limit={PAGE}"
        for _ in range(PAGES):
            page = await self._object("GET", url)
            if not isinstance(page.get("data"), list):
                raise UnreachableError(f"{url}: a collection is expected, {shown(page)} given")
            yield page["data"]
            following = self._next_page(url, page)
            if following is None:
                return
            url = following
        raise UnreachableError(f"{self._credentials.base}/{name}: more than {PAGES} pages")

    async def probe(self) -> None:
        """Ask for next to nothing, to see whether the API answers."""
        await self._object("GET", f"{self._credentials.base}/hosts?limit=1")

    def _next_page(self, url: str, page: Mapping[str, Any]) -> str | None:
        pagination = page.get("pagination")
        following = pagination.get("next") if isinstance(pagination, dict) else None
        return self._within_origin(url, following) if isinstance(following, str) and following else None

    async def resource(self, collection: str, resource_id: str) -> dict[str, Any] | None:
        """One resource, or None if there is none (any more)."""
        try:
            return await self._object("GET", self._resource_url(collection, resource_id))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def network_policies(self) -> list[NetworkPolicy]:
        """The policies of all networks: which is the managed one is not for the API to say."""
        networks = await self.collection("networks")
        return [_network_policy(network) for network in networks if isinstance(network, dict)]

    async def put_network(self, network_id: str, policy: object, default_policy_action: object) -> NetworkPolicy:
        """Replace a network's policy; what the API made of it."""
        change = {"defaultPolicyAction": default_policy_action, "policy": policy}
        return _network_policy(await self._object("PUT", self._resource_url("networks", network_id), change))

    def _resource_url(self, collection: str, resource_id: str) -> str:
        return f"{self._credentials.base}/{quote(collection, safe='')}/{quote(resource_id, safe='')}"

    async def _object(self, method: str, url: str, change: object = None) -> dict[str, Any]:
        """The object that a request answers, its success or failure noted. What the API denies is an answer, too."""
        try:
            answer = await self._answer(method, url, change)
        except ApiError:
            self.status.succeeded()
            raise
        except UnreachableError as error:
            self.status.failed(error)
            raise
        self.status.succeeded()
        return answer

    async def _answer(self, method: str, url: str, change: object) -> dict[str, Any]:
        """Redirects are followed on the same origin only, and only for GET."""
        status, body, location = await self._request(method, url, change)
        for _ in range(REDIRECT_HOPS):
            if not location or method != "GET" or status not in REDIRECTS:
                break
            url = self._within_origin(url, location)
            status, body, location = await self._request(method, url, change)
        if not 200 <= status < 300:
            raise _api_failure(status, body, f"{method} {url}")
        with mapped(f"{method} {url}"):
            answer = parse_json(body)
        if not isinstance(answer, dict):
            raise UnreachableError(f"{method} {url}: an object is expected, {shown(answer)} given")
        return answer

    async def _request(self, method: str, url: str, change: object) -> tuple[int, bytes, str]:
        if self._session is None:
            raise RuntimeError("the client is used outside its context")
        what = f"{method} {url}"
        data = None if change is None else msgspec.json.encode(change)
        headers = {} if data is None else {"Content-Type": "application/json"}
        with mapped(what):
            async with self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                self.server_date = response.headers.get("Date", "")
                body = await read_bounded(response, self._size_limit, what)
                return response.status, body, response.headers.get("Location", "")

    def _within_origin(self, url: str, target: str) -> str:
        """`target`, seen from `url`. Raises UnreachableError if our credentials would leave their origin."""
        try:
            absolute = urljoin(url, target)
        except ValueError as error:
            raise UnreachableError(f"{url}: it points to {shown(target)}, which is no address") from error
        if origin(absolute) != origin(self._credentials.base):
            raise UnreachableError(f"{url}: it points to another origin, {absolute}: not followed with credentials")
        return absolute


def _network_policy(network: Mapping[str, Any]) -> NetworkPolicy:
    return NetworkPolicy(
        id=str(network.get("id", "")),
        uuid=str(network.get("uuid", "")),
        name=str(network.get("name", "")),
        policy=network.get("policy"),
        default_policy_action=network.get("defaultPolicyAction"),
    )


def _api_failure(status: int, body: bytes, what: str) -> UnreachableError:
    """The API's own words (`{"type":"error", …}`), as far as there are any."""
    try:
        error = parse_json(body)
    except msgspec.DecodeError:
        error = {}
    said = (
        {key: str(error[key]) for key in ("code", "fieldName", "message") if error.get(key)}
        if isinstance(error, dict)
        else {}
    )
    detail = ", ".join(f"{key} {text}" for key, text in said.items())
    if status in REFUSALS or not 400 <= status < 500:
        return status_failure(status, what, detail)
    message = f"{what}: refused with status {status}{': ' + detail if detail else ''}"
    return ApiError(message, status=status, code=said.get("code", ""), field=said.get("fieldName", ""))
