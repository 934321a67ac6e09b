"""An agent that goes and comes back, is upgraded, says what this page does not know, or has very much to tell."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from .browser import tab
from .synthetic import Answers, ago, denied, flow, large, matrix, party, serving, small, state

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_agent_that_comes_back_is_asked_for_everything_anew(browser: Browser) -> None:
    answers = Answers.of(small())
    async with serving(answers) as agent, tab(browser, agent.url) as watched:
        page, watched.failures_expected = watched.page, True
        await expect(page.get_by_role("rowheader")).to_have_count(6)
        await expect(page.get_by_role("link", name="ready")).to_be_visible()
        agent.gone = True
        agent.end()
        await expect(page.get_by_role("alert")).to_contain_text("Connection lost")
        # What it said last is still there, but not as if it were said now.
        await expect(page.get_by_role("rowheader")).to_have_count(6)
        await expect(page.get_by_role("link", name="ready")).to_have_count(0)
        await expect(page.get_by_text("no answer", exact=True)).to_be_visible()
        await expect(page.get_by_text("no events")).to_be_visible()
        assert "saturate" in await page.get_by_role("main").evaluate("main => getComputedStyle(main).filter")
        await watched.picture("agent-gone")
        agent.documents["matrix"] = matrix([party("shop/web"), party("shop/db")])
        agent.gone = False
        await expect(page.get_by_role("alert")).to_have_count(0)
        await expect(page.get_by_role("rowheader")).to_have_text(["shop/db", "shop/web"])
        await expect(page.get_by_text("events: live")).to_be_attached()


async def test_the_page_of_an_agent_that_was_upgraded_says_so(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent, tab(browser, agent.url) as watched:
        page = watched.page
        await expect(page.get_by_role("rowheader")).to_have_count(6)
        agent.documents["state"] = {**state(), "version": "1"}
        await expect(page.get_by_text("The agent is now version 1")).to_be_visible()
        await page.get_by_role("button", name="Load the new page").click()
        await expect(page.get_by_role("rowheader")).to_have_count(6)
        await expect(page.get_by_text("The agent is now version")).to_have_count(0)


async def test_a_document_that_lacks_something_hurts_its_own_view_only(browser: Browser) -> None:
    answers = Answers.of(small())
    del answers.documents["rules"]["rules"]
    async with serving(answers) as agent, tab(browser, agent.url, view="#/rules") as watched:
        page = watched.page
        await expect(page.get_by_role("alert")).to_contain_text("This view can not show what the agent says")
        await page.get_by_role("link", name="Matrix").click()
        await expect(page.get_by_role("rowheader")).to_have_count(6)
        await page.get_by_role("link", name="Rules").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        agent.documents["rules"]["rules"] = []
        await expect(page.locator('[data-rule="default"]')).to_be_visible()


async def test_words_of_a_newer_agent_are_shown_as_they_are(browser: Browser) -> None:
    the_matrix = small()
    quarantine = {"ports": "any", "verdict": "quarantine", "decided_by": "guard", "rule": None, "partly": False}
    the_matrix["decisions"] = [{**one, "news": 1} for one in the_matrix["decisions"]]
    the_matrix["decisions"][0] = {
        "verdict": "quarantine",
        "ports": [{**quarantine, "sentence": "held back by the guard"}],
    }
    answers = Answers.of(the_matrix)
    answers.documents["hosts"]["hosts"][1]["agent"] = "retired"
    answers.documents["state"] |= {"status": "pausing", "mode": "dream", "more": {}}
    answers.documents["denied"]["flows"][0]["verdict"] = "hold"
    async with serving(answers) as agent, tab(browser, agent.url) as watched:
        page = watched.page
        await page.locator("#matrix-cell").focus()
        await page.keyboard.press("Control+End")
        await expect(page.locator("#matrix-cell")).to_have_accessible_name("backup to backup: held back by the guard")
        await expect(page.get_by_role("complementary")).to_contain_text("quarantine")
        await expect(page.get_by_role("button", name="not judged")).to_contain_text("14")
        for view, word in {"Containers": "retired", "Live": "hold", "Status": "dream", "Graph": "6 services"}.items():
            await page.get_by_role("link", name=view).click()
            await expect(page.get_by_role("main").get_by_text(word).first).to_be_visible()
        await expect(page.get_by_role("link", name="pausing")).to_be_visible()


async def test_off_is_not_told_as_denied(browser: Browser) -> None:
    async with serving(Answers.of(small(), "off")) as agent, tab(browser, agent.url) as watched:
        page = watched.page
        await expect(page.get_by_text("Nothing is enforced on this host.")).to_be_visible()
        await expect(page.get_by_role("button", name="OFF: would be denied")).to_be_visible()
        await page.locator("#matrix-cell").focus()
        await page.keyboard.press("Control+End")
        await expect(page.locator("#matrix-cell")).to_have_accessible_name(
            "backup to backup: OFF, passes: denied by the default action"
        )


DRAWN = """() => {
    window.drawn = 0;
    new MutationObserver(() => { window.drawn += 1; }).observe(
        document.querySelector("[aria-labelledby=panel-events]"), { childList: true, subtree: true });
}"""


def change(number: int) -> dict[str, Any]:
    one = {"count": 1, "names": [f"shop/web/shop-web-{number}"]}
    nothing: dict[str, Any] = {"count": 0, "names": []}
    return {"at": ago(0), "came": one, "went": nothing, "changed": nothing, "policy": None, "repair": None} | {
        "latency_seconds": None
    }


async def test_a_flood_of_events_is_neither_kept_nor_asked_about_one_by_one(browser: Browser) -> None:
    answers = Answers.of(large())
    many = [flow(f"blog/app/blog-app-{number}", "shop/db/shop-db-1", number) for number in range(1, 1000)]
    answers.documents["denied"] = denied("enforce", *many)
    async with serving(answers) as agent, tab(browser, agent.url, view="#/live") as watched:
        page = watched.page
        await expect(page.get_by_text("events: live")).to_be_attached()
        await expect(page.get_by_text("799 older ones not shown.")).to_be_visible()
        await page.evaluate(DRAWN)
        agent.asked.clear()
        began = asyncio.get_running_loop().time()
        for number in range(1, 161):
            agent.tell("change", change(number))
            agent.tell("denied", many[number])
            await page.evaluate("new Promise(requestAnimationFrame)")
            if number % 40 == 0:
                # What is told meanwhile is seen meanwhile.
                await expect(page.get_by_text(f"came: shop/web/shop-web-{number}", exact=True)).to_be_visible()
        took = asyncio.get_running_loop().time() - began
        assert await page.get_by_role("region", name="Events").get_by_role("listitem").count() == 300
        for document in ("denied", "state"):
            assert agent.asked.count(document) <= 3 + took / 0.4, (document, took)
        assert await page.evaluate("window.drawn") <= 3 + took / 0.2
        agent.asked.clear()
        await page.get_by_role("link", name="Matrix").click()
        await expect(page.get_by_text("500 clients to 500 servers")).to_be_visible()
        assert agent.asked.count("matrix") == 1
