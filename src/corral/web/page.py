"""The page at `/`: files that `make page` builds into this package."""

from __future__ import annotations

import hashlib
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import web

# Scripts, styles and answers from the agent's own endpoint only, and text never becomes markup: Chromium then
# refuses to make HTML of a string (trusted types), should a library ever try.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
NOT_BUILT = """corral is running, but this copy was built without its page.

In a checkout, `make page` builds it (it needs Node.js); then restart the agent.
Everything that the page shows is at /v1/state, /v1/matrix, /v1/rules, /v1/containers, /v1/hosts and /v1/denied.
"""


def page_routes(built: Traversable | None = None) -> list[web.RouteDef]:
    """The page and its assets, from `built` instead of this package if given."""
    page = _Page(built if built is not None else resources.files("corral.web") / "dist")
    return [web.get("/", page.index), web.get("/assets/{name}", page.asset)]


class _Page:
    """Files are read when asked for: a browser asks for an asset once, and the agent keeps nothing in memory."""

    def __init__(self, built: Traversable) -> None:
        self._index = built / "index.html"
        self._assets = built / "assets"

    async def index(self, request: web.Request) -> web.Response:
        """Asked for anew each time, so that an upgrade shows at once; its assets are named by their content."""
        if not self._index.is_file():
            return web.Response(status=404, text=NOT_BUILT, headers=HEADERS)
        body = self._index.read_bytes()
        tag = hashlib.sha256(body).hexdigest()[:16]
        headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": f'"{tag}"'}
        if any(known.value in {tag, "*"} for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers={**headers, "Content-Type": "text/html; charset=utf-8"})

    async def asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        suffix = "." + name.rpartition(".")[2]
        # Only what was built: a name from outside never makes a path.
        there = {file.name: file for file in self._assets.iterdir()} if self._assets.is_dir() else {}
        if name not in there or suffix not in CONTENT_TYPES:
            return web.Response(status=404, text="no such asset\n", headers=HEADERS)
        headers = {
            **HEADERS,
            "Cache-Control": "public, max-age=31536000, immutable",
            "Content-Type": CONTENT_TYPES[suffix],
            "Vary": "Accept-Encoding",
        }
        packed = there.get(f"{name}.gz")
        if packed is None or "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=there[name].read_bytes(), headers=headers)
        return web.Response(body=packed.read_bytes(), headers={**headers, "Content-Encoding": "gzip"})
