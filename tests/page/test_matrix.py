from __future__ import annotations

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from .browser import tab
from .synthetic import Answers, Json, large, serving, small

pytestmark = pytest.mark.asyncio(loop_scope="session")

CELL = "#matrix-cell"


def readout(page: Page) -> Locator:
    return page.get_by_role("complementary")


async def test_says_of_each_pair_what_decides_by_mouse_and_by_keyboard(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent, tab(browser, agent.url) as watched:
        page = watched.page
        await expect(page.get_by_role("rowheader")).to_have_text(
            ["blog/app", "blog/db", "shop/api", "shop/db", "shop/web", "backup"]
        )
        # blog/app to shop/db: the fourth column of the first row.
        cell = await page.locator(CELL).bounding_box()
        assert cell is not None
        step = cell["width"] + 2
        await page.mouse.move(cell["x"] + 3.5 * step, cell["y"] + step / 2)
        await expect(readout(page)).to_contain_text("tcp 5432")
        await expect(readout(page)).to_contain_text(
            "allowed by policy[2] (from tier=web to tier=db ports 5432/tcp: allow)"
        )
        await expect(readout(page)).to_contain_text("denied by the default action")
        await page.mouse.move(0, 0)
        await page.locator(CELL).focus()
        await expect(page.locator(CELL)).to_have_accessible_name(
            "blog/app to blog/app: allowed by policy[1] (within stack: allow)"
        )
        for _ in range(3):
            await page.keyboard.press("ArrowRight")
        await expect(page.locator(CELL)).to_be_focused()
        await expect(page.locator(CELL)).to_have_attribute("data-verdict", "mixed")
        await expect(page.locator("[aria-live=polite]")).to_contain_text("blog/app to shop/db: tcp 5432 allowed")
        await expect(readout(page)).to_contain_text("tcp 5432")
        await page.keyboard.press("Control+End")
        await expect(page.locator(CELL)).to_have_accessible_name("backup to backup: denied by the default action")


async def test_a_pair_that_is_held_on_to_and_the_filters_can_be_shared(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent:
        async with tab(browser, agent.url) as watched:
            page = watched.page
            await page.get_by_role("combobox", name="Stack").select_option("shop")
            await page.get_by_role("combobox", name="Applies to").select_option("server")
            await page.locator(CELL).focus()
            await page.keyboard.press("ArrowDown")
            await page.keyboard.press("Enter")
            await expect(page.locator(CELL)).to_have_attribute("aria-selected", "true")
            shared = page.url
        async with tab(browser, agent.url, view=shared.rpartition("/#")[2].join(("#", ""))) as watched:
            page = watched.page
            await expect(page.get_by_role("combobox", name="Stack")).to_have_value("shop")
            await expect(page.get_by_role("columnheader")).to_have_text(["shop/api", "shop/db", "shop/web"])
            await expect(page.get_by_role("rowheader")).to_have_count(6)
            await expect(page.locator(CELL)).to_have_attribute("aria-selected", "true")
            await expect(readout(page)).to_contain_text("blog/db")


async def test_filters(browser: Browser) -> None:
    async with serving(Answers.of(small())) as agent, tab(browser, agent.url) as watched:
        page = watched.page
        rows, columns = page.get_by_role("rowheader"), page.get_by_role("columnheader")
        await page.get_by_role("button", name="depends").click()
        await expect(rows).to_have_text(["blog/app", "shop/web"])
        await expect(columns).to_have_text(["blog/db", "shop/db"])
        await page.get_by_role("button", name="depends").click()
        await page.get_by_role("combobox", name="Label").select_option("tier=web")
        await expect(rows).to_have_text(["blog/app", "shop/web"])
        await page.get_by_role("searchbox", name="Name").fill("BLOG")
        await expect(rows).to_have_text(["blog/app"])
        await page.get_by_role("searchbox", name="Name").fill("nobody")
        await expect(page.get_by_text("No pair is left by these filters.")).to_be_visible()
        await page.get_by_role("button", name="Clear").click()
        await page.get_by_role("checkbox", name="System services").check()
        await expect(rows).to_have_count(7)
        await expect(page.get_by_role("status").filter(has_text="7 clients")).to_be_visible()


async def test_explains_a_decision_with_what_would_change_it(browser: Browser) -> None:
    async with (
        serving(Answers.of(small())) as agent,
        tab(browser, agent.url, view="#/matrix?client=blog/app&server=shop/db") as watched,
    ):
        panel = readout(watched.page)
        await panel.get_by_role("button", name="Explain").first.click()
        await expect(panel).to_contain_text("blog/app has no link to shop/db")
        await expect(panel).to_contain_text("Also opens 1 pair: shop/web to blog/db tcp 3306")


async def test_five_hundred_services_are_shown_and_filtered(browser: Browser) -> None:
    async with serving(Answers.of(large())) as agent:
        for dark in (False, True):
            async with tab(browser, agent.url, dark=dark) as watched:
                page = watched.page
                await expect(page.get_by_text("500 clients to 500 servers")).to_be_visible()
                # Only what is in view is in the document.
                assert await page.get_by_role("rowheader").count() < 100
                await watched.picture(f"matrix-500-{'dark' if dark else 'light'}")
                await page.locator(CELL).focus()
                await page.keyboard.press("Control+End")
                await expect(page.locator(CELL)).to_have_accessible_name(
                    "portal-47/worker to portal-47/worker: allowed by policy[1] (within stack: allow)"
                )
                await expect(page.get_by_role("rowheader").last).to_have_text("portal-47/worker")
                await page.get_by_role("combobox", name="Stack").select_option("media-08")
                await expect(page.get_by_text("10 clients to 10 servers")).to_be_visible()
                await expect(page.get_by_role("rowheader")).to_have_count(10)


def verdicts(document: Json) -> dict[tuple[str, str], str]:
    """What the document says of each pair."""
    names = [party["name"] for party in document["parties"]]
    return {
        (client, server): document["decisions"][document["cells"][row][column]]["verdict"]
        for row, client in enumerate(names)
        for column, server in enumerate(names)
    }


@pytest.mark.parametrize("mode", ["enforce", "audit"])
async def test_each_cell_has_the_colour_of_its_own_verdict(browser: Browser, mode: str) -> None:
    document = small()
    said = verdicts(document)
    async with serving(Answers.of(document, mode)) as agent, tab(browser, agent.url) as watched:
        page = watched.page
        await expect(page.get_by_role("rowheader")).to_have_count(6)
        names = await page.get_by_role("rowheader").all_text_contents()
        await expect(
            page.get_by_role("button", name=f"{'AUDIT: would be ' if mode == 'audit' else ''}denied")
        ).to_be_visible()
        cell = await page.locator(CELL).bounding_box()
        assert cell is not None
        # Two points of each cell, off its mark: a mixed one is of two colours.
        painted = await page.locator("canvas").first.evaluate(
            """(canvas, [step, lines]) => {
                const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                const at = (x, y) => data.slice(4 * (y * width + x), 4 * (y * width + x) + 4).join(" ");
                const line = [...Array(lines).keys()].map((index) => [index * step + 6, (index + 1) * step - 8]);
                const cells = line.flatMap(([top, bottom]) =>
                    line.map(([left, right]) => [at(left, top), at(right, bottom)]));
                return cells;
            }""",
            [cell["width"] + 2, len(names)],
        )
        pairs = [(client, server) for client in names for server in names]
        colours: dict[str, set[tuple[str, ...]]] = {"allow": set(), "deny": set(), "mixed": set()}
        for pair, points in zip(pairs, painted, strict=True):
            colours[said[pair]].add(tuple(points))
        assert [len(of) for of in colours.values()] == [1, 1, 1], colours
        assert len(set.union(*colours.values())) == 3
        await watched.picture(f"matrix-colours-{mode}")


async def test_the_legend_counts_what_the_document_says(browser: Browser) -> None:
    document = large(60)
    said = list(verdicts(document).values())
    async with serving(Answers.of(document)) as agent, tab(browser, agent.url) as watched:
        for word, verdict in {"allowed": "allow", "depends": "mixed", "denied": "deny"}.items():
            button = watched.page.get_by_role("button", name=word)
            await expect(button).to_have_text(f"{word}{said.count(verdict):,}")


@pytest.mark.parametrize("dark", [False, True])
async def test_is_painted_in_the_colours_that_were_asked_for(browser: Browser, dark: bool) -> None:
    async with serving(Answers.of(small())) as agent, tab(browser, agent.url, dark=dark) as watched:
        page = watched.page
        await expect(page.get_by_role("rowheader")).to_have_count(6)
        await watched.picture(f"matrix-5-{'dark' if dark else 'light'}")
        asked, other = ("dark", "light") if dark else ("light", "dark")
        grounds = {}
        for theme in ("auto", other, asked):
            await page.get_by_role("combobox", name="Colours").select_option(theme)
            await expect(page.locator("html")).to_have_attribute("data-theme", other if theme == other else asked)
            grounds[theme] = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert grounds["auto"] == grounds[asked] != grounds[other]
        await page.get_by_role("combobox", name="Colours").select_option(other)
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", other)
