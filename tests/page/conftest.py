"""One browser for all tests of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import resources

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from .browser import chromium


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """Without it every test would fail, and say something else."""
    index = resources.files("corral.web") / "dist" / "index.html"
    assert index.is_file(), "the page is not built: `make page` does it"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made
