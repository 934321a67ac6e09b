"""The event stream and the API behind TLS, with a certificate authority of the server's own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from corral import config
from corral.config import load_settings
from corral.errors import UnreachableError
from corral.sources.backoff import Backoff
from corral.sources.credentials import Credentials, tls_context
from corral.sources.events import Connected, Disconnected, EventSource
from corral.sources.rancher import RancherClient

from .servers import Events, http_server, sends

NAME = "localhost"


@dataclass
class Authority:
    """A certificate authority and the file with its certificate."""

    ca: trustme.CA
    file: Path

    def server(self, name: str) -> ssl.SSLContext:
        """What a server of that name needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name).configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    ca = trustme.CA()
    path = tmp_path / "ca.crt"
    ca.cert_pem.write_to_path(str(path))
    return Authority(ca, path)


async def listing(_: web.BaseRequest) -> web.StreamResponse:
    return web.json_response({"type": "collection", "data": [{"id": "1h1"}]})


@asynccontextmanager
async def servers(tls: ssl.SSLContext) -> AsyncIterator[tuple[str, str]]:
    """The addresses of an event stream and of an API, by name."""
    async with Events([sends()]).serve(tls=tls) as events, http_server(listing, tls=tls) as api:
        yield events.replace("127.0.0.1", NAME), api.replace("127.0.0.1", NAME)


def keys(url: str) -> Credentials:
    return Credentials.of(url, "access", "sesame")


async def stream(url: str, client: ssl.SSLContext) -> None:
    """Connect once. Raises UnreachableError."""
    source = EventSource(keys(url), tls=client, backoff=Backoff(first=0.001, limit=0.002))
    async with aclosing(source.messages()) as messages:
        item = await anext(messages)
    if isinstance(item, Disconnected):
        raise item.error
    assert item == Connected()


async def rest(url: str, client: ssl.SSLContext) -> None:
    """Ask once. Raises UnreachableError."""
    async with RancherClient(keys(url), tls=client) as asked:
        assert await asked.collection("hosts") == [{"id": "1h1"}]


Ask = Callable[[str, ssl.SSLContext], Awaitable[None]]
both = pytest.mark.parametrize(("ask", "which"), [(stream, 0), (rest, 1)], ids=["stream", "rest"])


@both
async def test_its_own_authority_is_trusted_when_it_is_given(ask: Ask, which: int, authority: Authority) -> None:
    settings = load_settings({"CORRAL_CA_FILE": str(authority.file)})
    async with servers(authority.server(NAME)) as urls:
        await ask(urls[which], tls_context(settings.ca_file))


@both
async def test_without_it_nothing_is_sent_and_the_remedy_is_said(ask: Ask, which: int, authority: Authority) -> None:
    async with servers(authority.server(NAME)) as urls:
        with pytest.raises(UnreachableError, match=r"certificate is not trusted .*CORRAL_CA_FILE") as caught:
            await ask(urls[which], tls_context(None))
    assert urls[which] in str(caught.value)


@both
async def test_another_authority_is_not_enough(ask: Ask, which: int, authority: Authority, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with servers(authority.server(NAME)) as urls:
        with pytest.raises(UnreachableError, match="certificate is not trusted"):
            await ask(urls[which], tls_context(other))


@both
@pytest.mark.parametrize(("name", "said"), [("rancher.example", "localhost"), ("192.0.2.1", "localhost")])
async def test_a_certificate_for_another_name_is_refused(
    ask: Ask, which: int, authority: Authority, name: str, said: str
) -> None:
    async with servers(authority.server(name)) as urls:
        with pytest.raises(UnreachableError, match=f"not trusted .*{said}.*: use the name that it is for"):
            await ask(urls[which], tls_context(authority.file))


@both
async def test_the_well_known_file_is_used_when_it_is_there(
    ask: Ask, which: int, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "WELL_KNOWN_CA_FILES", (tmp_path / "missing.crt", authority.file))
    async with servers(authority.server(NAME)) as urls:
        await ask(urls[which], tls_context(load_settings({}).ca_file))


@pytest.mark.parametrize("ask", [stream, rest])
async def test_what_speaks_no_tls(ask: Ask, authority: Authority) -> None:
    async with http_server(listing) as url:
        with pytest.raises(UnreachableError, match="TLS fails"):
            await ask(url.replace("http:", "https:"), tls_context(authority.file))


def test_the_well_known_files_are_those_of_rancher_and_pasturestack() -> None:
    assert [str(path) for path in config.WELL_KNOWN_CA_FILES] == [
        "/var/lib/pasturestack/etc/ssl/ca.crt",
        "/var/lib/rancher/etc/ssl/ca.crt",
    ]
