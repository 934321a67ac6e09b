"""The page of a real agent in a host's namespace, while the policy changes and real packets flow."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Page, expect

from corral.sandbox.agents import LISTEN
from corral.sandbox.blueprint import Blueprint, ServiceSpec, StackSpec
from corral.sandbox.probes import Outcome
from corral.sandbox.world import Sandbox
from corral.types import Protocol

from .browser import CHROMIUM, chromium, tab

WITHIN_STACK = {"within": "stack", "action": "allow"}
JOB_TO_DB = {"from": {"selector": "role=job"}, "to": {"selector": "role=db"}, "action": "allow"}
BLUEPRINT = Blueprint(
    hosts=1,
    stacks=(
        StackSpec("front", (ServiceSpec(name="web"), ServiceSpec(name="db", labels={"role": "db"}))),
        StackSpec("back", (ServiceSpec(name="job", labels={"role": "job"}),)),
    ),
    policy=[WITHIN_STACK],
    default_policy_action="deny",
)


def chromium_beside(pid: int, folder: Path) -> str:
    """A program that starts Chromium in the network namespace of a process."""
    program = folder / "chromium"
    program.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{pid}/ns/net {CHROMIUM} "$@"\n')
    program.chmod(0o755)
    return str(program)


async def packets(page: Page, rule: str) -> int:
    return int(await page.locator(f'[data-rule="{rule}"] .packets').get_attribute("data-packets") or -1)


async def test_a_denied_pair_becomes_allowed_before_ones_eyes(tmp_path: Path) -> None:
    async with Sandbox(BLUEPRINT, lag=0.0) as sandbox:
        await sandbox.enforced()
        flow = sandbox.flow("back-job-1", "front-db-1", Protocol.TCP, 80)
        program = chromium_beside(sandbox.agents[0].pid, tmp_path)
        async with chromium(program) as browser:
            view = "#/matrix?client=back/job&server=front/db"
            async with tab(browser, f"http://{LISTEN}", view=view) as watched:
                page = watched.page
                await page.evaluate("window.untouched = true")
                cell = page.locator("#matrix-cell")
                await expect(cell).to_have_accessible_name("back/job to front/db: denied by the default action")
                await expect(page.get_by_text("events: live")).to_be_attached()

                await page.get_by_role("link", name="Live").click()
                await expect(page.get_by_text("None so far.")).to_be_visible()
                assert await sandbox.probe(flow) is Outcome.SILENT
                row = page.get_by_role("row").filter(has_text="back-job-1")
                await expect(row).to_contain_text("front/db/front-db-1")
                await expect(row).to_contain_text("tcp 80")
                await row.get_by_role("button", name="Details").click()
                await page.get_by_role("button", name="Explain").click()
                await expect(page.get_by_role("heading", name="What would allow it")).to_be_visible()
                await watched.picture("change-1-denied")

                await page.get_by_role("link", name="Matrix").click()
                await page.locator("#matrix-cell").focus()
                await page.keyboard.press("Control+Home")
                await page.keyboard.press("ArrowRight")
                await expect(cell).to_have_accessible_name("back/job to front/db: denied by the default action")
                await sandbox.put_policy([WITHIN_STACK, JOB_TO_DB], "deny")
                await expect(cell).to_have_attribute("data-verdict", "allow")
                await expect(cell).to_have_accessible_name(
                    "back/job to front/db: allowed by policy[1] (from role=job to role=db: allow)"
                )
                await watched.picture("change-2-allowed")

                await page.get_by_role("link", name="Rules").click()
                await expect(page.locator('[data-rule="1"]')).to_contain_text("from role=job to role=db: allow")
                assert await packets(page, "1") == 0
                assert await sandbox.probe(flow) is Outcome.ANSWERED
                await expect(page.locator('[data-rule="1"] .packets')).not_to_have_attribute("data-packets", "0")
                await watched.picture("change-3-counted")

                await page.get_by_role("link", name="Containers").click()
                await expect(page.get_by_role("row").filter(has_text="front-db-1")).to_contain_text("programmed")
                await page.get_by_role("link", name="Status").click()
                await expect(page.get_by_text("Nothing is wrong.")).to_be_visible()
                await page.get_by_role("link", name="Live").click()
                await expect(page.get_by_role("region", name="Events")).to_contain_text("is in force")
                assert await page.evaluate("window.untouched")
