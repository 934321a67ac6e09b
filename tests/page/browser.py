"""Debian's Chromium, watched: whatever a page complains of, or asks of somebody else, fails the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
ARGUMENTS = [
    "--no-sandbox",  # the tests are root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def chromium(executable: str = CHROMIUM) -> AsyncIterator[Browser]:
    """A browser with a profile of its own, gone afterwards."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, headless=True, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Watched:
    """A tab; `faults` are errors on its console, violations of the security policy, and requests to other origins."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.faults: list[str] = []
        # An answer that is no success makes a line on the console, too: a test that wants one says so.
        self.failures_expected = False
        self._origin = urlsplit(origin).netloc
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        expected = self.failures_expected and message.text.startswith("Failed to load resource")
        if message.type in {"error", "warning"} and not expected:
            self.faults.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).netloc != self._origin:
            self.faults.append(f"another origin: {request.url}")

    async def picture(self, name: str) -> None:
        """Keep a screenshot, for a look."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@asynccontextmanager
async def tab(
    browser: Browser, url: str, *, view: str = "", dark: bool = False, width: int = 1440, height: int = 900
) -> AsyncIterator[Watched]:
    """The page at `url`, at a view such as `#/rules`. Raises AssertionError when the page had any fault."""
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    try:
        page = await context.new_page()
        page.set_default_timeout(15_000)
        watched = Watched(page, url)
        await page.goto(f"{url}/{view}")
        yield watched
        assert not watched.faults, watched.faults
    finally:
        await context.close()
