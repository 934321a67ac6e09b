"""The page of an agent in this process: its own server, its own documents."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from ..daemon.running import running_agent
from .browser import tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_view_shows_what_the_agent_says(browser: Browser) -> None:
    async with running_agent() as running, tab(browser, running.url) as watched:
        page = watched.page
        await expect(page.get_by_role("rowheader")).to_have_text(["back/job", "front/db", "front/web"])
        # There is no bridge docker0 here, and the page says so on every view.
        await expect(page.get_by_text("docker0").first).to_be_visible()
        for link, text in {
            "Graph": "3 services, 1 line",
            "Rules": "within stack: allow",
            "Containers": "front-db-1",
            "Live": "Events",
            "Status": "10.42.0.0/16",
        }.items():
            await page.get_by_role("link", name=link).click()
            await expect(page.get_by_role("main").get_by_text(text).first).to_be_visible()
            await expect(page.locator(".view .trouble")).to_have_count(0)
        running.environment.set_policy([], "allow")
        running.publish()
        await page.get_by_role("link", name="Matrix").click()
        await expect(page.get_by_role("button", name="allowed")).to_contain_text("9")


async def test_an_agent_that_goes_is_noticed(browser: Browser) -> None:
    async with running_agent() as running, tab(browser, running.url) as watched:
        page, watched.failures_expected = watched.page, True
        await expect(page.get_by_role("rowheader")).to_have_count(3)
        running.agent.stop()
        await running.done
        await expect(page.get_by_role("alert")).to_contain_text("the agent does not answer")
        await expect(page.get_by_role("rowheader")).to_have_count(3)


async def test_the_browser_itself_refuses_foreign_scripts_and_markup(browser: Browser) -> None:
    async with running_agent() as running, tab(browser, running.url) as watched:
        page = watched.page
        await expect(page.get_by_role("rowheader")).to_have_count(3)
        tried = await page.evaluate(
            """() => {
                try { document.body.innerHTML = "<b>x</b>"; return "made"; } catch (error) { return error.name; }
            }"""
        )
        assert tried == "TypeError"
        assert [fault for fault in watched.faults if "TrustedHTML" in fault or "Content Security Policy" in fault]
        watched.faults.clear()
        assert await page.evaluate("fetch('http://192.0.2.1/').then(() => 'asked', error => error.name)") == "TypeError"
        assert any("Content Security Policy" in fault for fault in watched.faults)
        watched.faults.clear()
