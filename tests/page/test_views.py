from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from .browser import tab
from .synthetic import Answers, ago, denied, flow, large, matrix, party, serving, small, state

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_graph_says_in_words_what_it_draws(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent:
        for dark in (False, True):
            async with tab(browser, agent.url, view="#/graph", dark=dark) as watched:
                page = watched.page
                await expect(page.locator("[data-ready=true]")).to_be_visible()
                await expect(page.get_by_text("6 services, 8 lines")).to_be_visible()
                await watched.picture(f"graph-5-{'dark' if dark else 'light'}")
                side = page.get_by_role("complementary")
                await side.get_by_role("button", name="backup").click()
                await expect(side).to_contain_text("May talk to 2")
                await expect(side).to_contain_text("May be reached by 0")
                await side.get_by_role("button", name="shop/db").click()
                await expect(side).to_contain_text("blog/app in part")


async def test_the_graph_of_five_hundred_services_is_folded(browser: Browser) -> None:
    async with serving(Answers.of(large())) as agent:
        for dark in (False, True):
            async with tab(browser, agent.url, view="#/graph", dark=dark) as watched:
                page = watched.page
                await expect(page.locator("[data-ready=true]")).to_be_visible()
                side = page.get_by_role("complementary")
                await expect(side.get_by_role("listitem")).to_have_count(50)
                await watched.picture(f"graph-500-{'dark' if dark else 'light'}")
        async with tab(browser, agent.url, view="#/graph?client=stack billing-01") as watched:
            page, side = watched.page, watched.page.get_by_role("complementary")
            await expect(page.locator("[data-ready=true]")).to_be_visible()
            # One among many is shown alone, with those that it may talk to.
            await expect(page.get_by_text("those of the chosen one are shown")).to_be_visible()
            await expect(side).to_contain_text("May talk to 49")
            await watched.picture("graph-500-chosen")
            await side.get_by_role("button", name="Unfold").click()
            await side.get_by_role("button", name="web", exact=True).click()
            await expect(side.get_by_role("heading", name="billing-01/web")).to_be_visible()
            await watched.picture("graph-500-chosen-service")


async def test_rules_with_their_counters_and_warnings(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent, tab(browser, agent.url, view="#/rules") as watched:
        page = watched.page
        third = page.locator('[data-rule="3"]')
        await expect(third).to_contain_text("No container carries a label env=testing.")
        await expect(third).to_contain_text("never")
        await expect(page.locator('[data-rule="default"]')).to_contain_text("311")
        await watched.picture("rules")
        agent.documents["rules"]["default"]["packets"] = 312
        await expect(page.locator('[data-rule="default"]')).to_contain_text("312")


async def test_containers_and_hosts(browser: Browser) -> None:
    async with (
        serving(Answers.of(small())) as agent,
        tab(browser, agent.url, view="#/containers", dark=True) as watched,
    ):
        page = watched.page
        await expect(page.get_by_role("row").filter(has_text="shop-web-3")).to_contain_text("not programmed")
        await expect(page.get_by_role("row").filter(has_text="host3")).to_contain_text("no agent")
        await expect(page.get_by_text("5 containers, 1 not programmed")).to_be_visible()
        await watched.picture("containers")


async def test_denied_flows_and_events_appear_as_they_happen(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent, tab(browser, agent.url, view="#/live") as watched:
        page = watched.page
        await expect(page.get_by_text("events: live")).to_be_attached()
        await expect(page.get_by_role("row").filter(has_text="tcp 3306")).to_be_visible()
        fresh = flow("blog/app/blog-app-2", "shop/api/shop-api-1", 9090, count=1, seconds=0)
        agent.documents["denied"] = denied("enforce", fresh)
        agent.tell("denied", fresh)
        nothing = {"count": 0, "names": []}
        come = {"at": ago(0), "came": {"count": 3, "names": ["shop/web/shop-web-9"]}, "went": nothing}
        rest = {"changed": nothing, "policy": None, "repair": None, "latency_seconds": 0.004}
        agent.tell("change", {**come, **rest})
        row = page.get_by_role("row").filter(has_text="tcp 9090")
        await expect(row).to_contain_text("denied")
        await row.get_by_role("button", name="Details").click()
        await page.get_by_role("button", name="Explain").click()
        await expect(page.get_by_text("Link blog/app to shop/db.")).to_be_visible()
        events = page.get_by_role("region", name="Events")
        await expect(events).to_contain_text("came: shop/web/shop-web-9 and 2 more (in 4 ms)")
        await watched.picture("live")


async def test_a_name_that_is_filtered_by_shows_on_every_view_where_it_does(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent, tab(browser, agent.url, view="#/matrix?text=shop") as watched:
        page = watched.page
        rows = {"Matrix": "blog/app", "Graph": "backup", "Containers": "blog-app-1", "Live": "tcp 3306"}
        for view, other in rows.items():
            await page.get_by_role("link", name=view).click()
            await expect(page.get_by_role("searchbox", name="Name")).to_have_value("shop")
            await page.get_by_role("searchbox", name="Name").fill("web")
            await expect(page.get_by_role("main").get_by_text(other)).to_have_count(0)
            await page.get_by_role("searchbox", name="Name").fill("shop")


async def test_audit_is_unmistakable(browser: Browser) -> None:
    async with serving(Answers.of(small(), "audit")) as agent, tab(browser, agent.url, dark=True) as watched:
        page = watched.page
        await expect(page.get_by_text("Nothing is dropped on this host.")).to_be_visible()
        await expect(page.get_by_role("button", name="AUDIT: would be denied")).to_be_visible()
        await page.locator("#matrix-cell").focus()
        await page.keyboard.press("Control+End")
        await expect(page.locator("#matrix-cell")).to_have_accessible_name(
            "backup to backup: AUDIT, passes: denied by the default action"
        )
        await watched.picture("audit")
        await page.get_by_role("link", name="Live").click()
        await expect(page.get_by_role("heading", name="Flows that would be denied")).to_be_visible()
        await expect(page.get_by_role("cell", name="AUDIT")).to_have_count(2)
        await page.get_by_role("link", name="Rules").click()
        await expect(page.get_by_role("cell", name="AUDIT: deny")).to_have_count(3)


async def test_reasons_come_with_their_remedies(browser: Browser) -> None:
    agent_of = Answers.of(small())
    reasons = [
        "metadata service: no answer, since 02:35:15 UTC (5 min); look after the metadata service of this host",
        "there is no bridge docker0",
        "third",
        "fourth",
    ]
    agent_of.documents["state"] = state(status="degraded", reasons=reasons)
    async with serving(agent_of) as agent, tab(browser, agent.url) as watched:
        page = watched.page
        await expect(page.get_by_text("Look after the metadata service of this host.")).to_be_visible()
        await watched.picture("reasons")
        await page.get_by_role("link", name="1 more").click()
        await expect(page.get_by_role("region", name="Reasons").get_by_role("listitem")).to_have_count(4)
        await watched.picture("status")


async def test_an_endpoint_that_fails_shows_as_such_and_hurts_nothing_else(browser: Browser) -> None:
    agent_of = Answers.of(small())
    for name in ("containers", "matrix"):
        del agent_of.documents[name]
    async with serving(agent_of) as agent, tab(browser, agent.url, view="#/containers") as watched:
        page, watched.failures_expected = watched.page, True
        await expect(page.get_by_text("containers is out of order")).to_be_visible()
        await expect(page.get_by_role("row").filter(has_text="host3")).to_be_visible()
        await page.get_by_role("link", name="Matrix").click()
        await expect(page.get_by_text("matrix is out of order")).to_be_visible()
        agent.documents["matrix"] = small()
        agent.tell(
            "change",
            {
                "at": ago(0),
                **{name: {"count": 0, "names": []} for name in ("came", "went", "changed")},
                "policy": None,
                "repair": None,
                "latency_seconds": None,
            },
        )
        await expect(page.get_by_role("rowheader")).to_have_count(6)
        del agent.documents["state"]
        await expect(page.get_by_role("alert")).to_contain_text("state is out of order")
        await expect(page.get_by_role("rowheader")).to_have_count(6)


NASTY = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("view", ["matrix", "graph", "rules", "containers", "live", "status"])
async def test_names_never_become_markup(browser: Browser, view: str) -> None:
    nasty = f'{NASTY}/"><script>alert(2)</script>'
    answers = Answers.of(matrix([party(nasty, {"tier": NASTY}), party("a/b", {NASTY: "x"})]))
    documents = answers.documents
    documents["state"] = state(status="degraded", reasons=[f"{NASTY}; {NASTY}"])
    documents["state"]["host"]["name"] = NASTY
    documents["rules"]["rules"][0] |= {"text": NASTY, "warnings": [NASTY]}
    documents["containers"]["containers"][0] |= {"name": NASTY, "party": nasty}
    documents["hosts"]["hosts"][0] |= {"name": NASTY, "state": NASTY}
    documents["denied"] = denied("enforce", flow(nasty, nasty, 80))
    async with (
        serving(answers) as agent,
        tab(browser, agent.url, view=f"#/{view}?text=&client={nasty}&server=a/b") as watched,
    ):
        page = watched.page
        await expect(page.get_by_text(NASTY).first).to_be_visible()
        assert await page.locator("img, script:not([src])").count() == 0


async def test_the_keyboard_reaches_everything(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent, tab(browser, agent.url, view="#/rules") as watched:
        page = watched.page
        await page.keyboard.press("Tab")
        skip = page.get_by_role("button", name="Skip to the rules")
        await expect(skip).to_be_focused()
        await expect(skip).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("main")).to_be_focused()
        await page.get_by_role("link", name="Matrix").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name="Matrix")).to_have_attribute("aria-current", "page")
        await expect(page.get_by_role("grid")).to_be_visible()
        # From the last control in front of it one Tab leads to the cell, and one more behind the whole matrix.
        await page.get_by_role("button", name="denied").focus()
        await page.keyboard.press("Tab")
        await expect(page.locator("#matrix-cell")).to_be_focused()
        outline = await page.locator("#matrix-cell").evaluate("cell => getComputedStyle(cell).outlineStyle")
        assert outline == "solid"
        assert await page.evaluate("document.querySelectorAll('.matrix [tabindex=\"0\"]').length") == 1
