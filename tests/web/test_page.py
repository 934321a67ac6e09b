from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from corral.web.page import page_routes

SCRIPT = b"console.log(1);\n"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    assets = tmp_path / "dist" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "index.html").write_text("<!doctype html><title>corral</title>")
    (assets / "page-ABC.js").write_bytes(SCRIPT)
    (assets / "page-ABC.js.gz").write_bytes(gzip.compress(SCRIPT))
    (assets / "icon-ABC.svg").write_text("<svg/>")
    (assets / "secret.key").write_text("not for anyone")
    (assets.parent / "beside.js").write_text("not an asset")
    return assets.parent


@asynccontextmanager
async def asking(built: Path) -> AsyncIterator[aiohttp.ClientSession]:
    app = web.Application()
    app.router.add_routes(page_routes(built))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession(f"http://{host}:{port}", auto_decompress=False) as session:
            yield session
    finally:
        await runner.cleanup()


async def test_the_page_is_asked_for_anew_and_its_assets_never(built: Path) -> None:
    async with asking(built) as session:
        async with session.get("/") as page:
            assert (page.status, page.content_type) == (200, "text/html")
            assert page.headers["Cache-Control"] == "no-cache"
            tag = page.headers["ETag"]
        async with session.get("/", headers={"If-None-Match": tag}) as again:
            assert (again.status, await again.read()) == (304, b"")
        (built / "index.html").write_text("<!doctype html><title>newer</title>")
        async with session.get("/", headers={"If-None-Match": tag}) as newer:
            assert newer.status == 200
        async with session.get("/assets/page-ABC.js") as script:
            assert script.content_type == "text/javascript"
            assert "immutable" in script.headers["Cache-Control"]


async def test_assets_are_sent_packed_to_those_who_take_it(built: Path) -> None:
    async with asking(built) as session:
        async with session.get("/assets/page-ABC.js", headers={"Accept-Encoding": "gzip, br"}) as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            assert packed.headers["Vary"] == "Accept-Encoding"
            assert gzip.decompress(await packed.read()) == SCRIPT
        async with session.get("/assets/page-ABC.js", headers={"Accept-Encoding": "identity"}) as plain:
            assert "Content-Encoding" not in plain.headers
            assert await plain.read() == SCRIPT
        async with session.get("/assets/icon-ABC.svg", headers={"Accept-Encoding": "gzip"}) as small:
            assert (small.content_type, await small.read()) == ("image/svg+xml", b"<svg/>")


@pytest.mark.parametrize("path", ["/", "/assets/page-ABC.js", "/assets/none.js"])
async def test_everything_has_the_strict_headers(built: Path, path: str) -> None:
    async with asking(built) as session, session.get(path) as answer:
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert policy[:3] == ["default-src 'none'", "script-src 'self'", "style-src 'self'"]
        for directive in ("connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
            assert directive in policy
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "name", ["none.js", "secret.key", "page-ABC.js.gz", "..%2Fbeside.js", "..%2Findex.html", "%2e%2e", "a%00.js"]
)
async def test_nothing_but_assets_is_given_away(built: Path, name: str) -> None:
    # Encoded already: a client that tidies the path up would try nothing.
    async with asking(built) as session, session.get(URL(f"/assets/{name}", encoded=True)) as answer:
        assert answer.status == 404
        assert await answer.text() in {"no such asset\n", "404: Not Found"}


async def test_without_a_built_page_says_how_to_build_it(tmp_path: Path) -> None:
    async with asking(tmp_path / "nothing") as session:
        async with session.get("/") as answer:
            assert (answer.status, answer.content_type) == (404, "text/plain")
            assert "make page" in await answer.text()
        async with session.get("/assets/page-ABC.js") as answer:
            assert answer.status == 404
