"""A network namespace for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from corral.dataplane.kernel import KernelDataplane
from tests.kernel.namespaces import Namespace


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace that the test runs in."""
    with Namespace() as created, created.entered():
        yield created


@pytest.fixture
async def kernel(namespace: Namespace) -> AsyncIterator[KernelDataplane]:
    """The dataplane of that namespace."""
    async with KernelDataplane() as opened:
        yield opened
