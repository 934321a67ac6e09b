"""Keyboard, screen readers, zoom, and eyes that see colours otherwise: by axe-core, and by trying."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from .browser import tab
from .synthetic import Answers, large, serving, small, state

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = Path(__file__).parents[2] / "page" / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = {
    "matrix": "grid",
    "matrix?client=blog/app&server=shop/db": "grid",
    "matrix?text=nobody": "search",
    "graph": "img",
    "graph?client=party shop/db": "img",
    "rules": "table",
    "containers": "table",
    "live": "table",
    "status": "definition",
}


async def violations(page: Page) -> list[str]:
    await page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = (await page.evaluate("axe.run({ resultTypes: ['violations'], preload: false })"))[
        "violations"
    ]
    return [f"{one['id']} ({one['impact']}): {[node['html'] for node in one['nodes']]}" for one in found]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("mode", "views"), [("enforce", tuple(VIEWS)), ("audit", ("matrix", "live"))])
async def test_axe_finds_nothing(browser: Browser, mode: str, views: tuple[str, ...], dark: bool) -> None:
    answers = Answers.of(small(), mode)
    answers.documents["state"] = state(mode, "degraded", ["no answer; look after it", "no bridge", "third", "fourth"])
    async with serving(answers) as agent, tab(browser, agent.url, dark=dark) as watched:
        page = watched.page
        for view in views:
            await page.evaluate("view => { location.hash = `#/${view}` }", view)
            await expect(page.get_by_role("main", name=view.partition("?")[0])).to_be_visible()
            await expect(page.get_by_role(VIEWS[view]).first).to_be_visible()  # type: ignore[arg-type]
            if view == "live":
                await page.get_by_role("button", name="Details").first.click()
                await page.get_by_role("button", name="Explain").click()
                await expect(page.get_by_role("heading", name="What would allow it")).to_be_visible()
            assert await violations(page) == [], view


async def focus(page: Page) -> str:
    """What has the focus, by its name."""
    return str(
        await page.evaluate(
            """() => {
                const one = document.activeElement;
                const label = one.labels?.[0];
                const said = label ? (label.querySelector("span") ?? label).textContent : one.textContent;
                return (one.getAttribute("aria-label") ?? said).trim();
            }"""
        )
    )


async def test_tab_goes_through_a_view_in_the_order_that_is_seen(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent, tab(browser, agent.url) as watched:
        page = watched.page
        await expect(page.get_by_role("grid")).to_be_visible()
        names = []
        for _ in range(19):
            await page.keyboard.press("Tab")
            names.append(await focus(page))
        views = ["Matrix", "Graph", "Rules", "Containers", "Live", "Status", "ready", "Colours"]
        filters = ["Name", "Stack", "Label", "Applies to", "System services"]
        legend = ["allowed15", "depends2", "denied19"]
        cell = "blog/app to blog/app: allowed by policy[1] (within stack: allow)"
        assert names[:18] == ["Skip to the matrix", *views, *filters, *legend, cell]


async def test_what_a_key_opens_has_the_focus(browser: Browser) -> None:
    async with serving(Answers.of(large(60))) as agent, tab(browser, agent.url, view="#/graph") as watched:
        page = watched.page
        side = page.get_by_role("complementary")
        await side.get_by_role("button", name="media-03").press("Enter")
        await expect(side.get_by_role("heading", name="media-03")).to_be_visible()
        await expect(side).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(side.get_by_role("button", name="Show all")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(side).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(side.get_by_role("button", name="billing-01")).to_be_focused()
        await page.evaluate("location.hash = '#/matrix?client=media-03/web&server=media-03/db'")
        await side.get_by_role("button", name="Explain").press("Enter")
        await expect(side.get_by_role("status")).to_be_focused()


async def test_at_double_size_only_tables_are_wider_than_the_screen(browser: Browser) -> None:
    # A window of 1280 by 800 at 200 %.
    async with serving(Answers.of(large(60))) as agent, tab(browser, agent.url, width=640, height=400) as watched:
        page = watched.page
        for view in ("matrix", "graph", "rules", "containers", "live", "status"):
            await page.evaluate("view => { location.hash = `#/${view}` }", view)
            await expect(page.get_by_role("main", name=view)).to_be_visible()
            await expect(page.get_by_role(VIEWS[view]).first).to_be_visible()  # type: ignore[arg-type]
            assert await page.evaluate("document.documentElement.scrollWidth") <= 640, view
            await watched.picture(f"double-size-{view}")


async def test_nothing_moves_for_who_wants_that(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent:
        for motion, lasting in (("reduce", "0s"), ("no-preference", "0.12s")):
            async with tab(browser, agent.url) as watched:
                page = watched.page
                await page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
                chip = page.get_by_role("button", name="allowed")
                durations = await chip.evaluate("chip => getComputedStyle(chip).transitionDuration")
                assert set(durations.split(", ")) == {lasting}
