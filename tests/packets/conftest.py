"""The namespaces are made once; every test runs its own loop inside the host's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from corral.sandbox.topology import Topology

from .rig import CONTAINERS


@pytest.fixture(scope="module")
def topology() -> Iterator[Topology]:
    made = Topology(["10.42.0.200"])
    try:
        for address in CONTAINERS:
            made.add_container(0, str(address))
        yield made
    finally:
        made.close()
