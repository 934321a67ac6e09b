"""One engine for all tests here. `make test` leaves them out: they need the host that `__main__` makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from .agent import Agent
from .engine import ARCHIVE, Engine, has_own_host
from .place import Place

Report = Callable[[str], None]

collect_ignore_glob = [] if has_own_host() else ["test_*.py"]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Runs, has the image and the managed network."""
    made = Engine()
    try:
        asyncio.run(_prepare(made))
        yield made
    finally:
        asyncio.run(made.end())


async def _prepare(engine: Engine) -> None:
    await engine.start()
    await engine.load(ARCHIVE)
    await engine.make_network()


@pytest.fixture
async def place(engine: Engine) -> AsyncIterator[Place]:
    """A host without containers. A test that fails shows what the engine and the agent have logged."""
    async with Place(engine) as made:
        yield made
        print(await made.logs())  # noqa: T201


@pytest.fixture
def agent(place: Place) -> Agent:
    """Not started yet."""
    return Agent(place)


_REPORTED = pytest.StashKey[list[str]]()


@pytest.fixture
def report(pytestconfig: pytest.Config) -> Report:
    """Keeps a sentence for the end of the run."""
    return pytestconfig.stash.setdefault(_REPORTED, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for sentence in config.stash.get(_REPORTED, []):
        terminalreporter.write_line(sentence)
