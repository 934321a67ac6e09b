"""Where a plan begins, and in which environment it is made."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import patch

import pytest

from corral.cli.policy.input import read_policy
from corral.cli.policy.plan import Places, Plan, make_plan
from corral.errors import UsageError

from ..managed import DENY_ALL, TO_DB, WITHIN_STACK, Managed, managed


async def made(place: Managed, places: Places, current: str | None = None, *, credentials: bool = True) -> Plan:
    kept = {name: value for name, value in place.variables.items() if credentials or "RANCHER" not in name}
    with patch.dict("os.environ", kept, clear=True):
        return await asyncio.to_thread(make_plan, *read_policy(place.file(TO_DB)), places, current)


async def test_where_it_begins(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        here = Places(agents=[None])
        topology = Path(place.file((await place.running.get("/v1/topology"))[1], "topology.json"))
        offline = Places(agents=[None], topology=topology)
        plans = [
            await made(place, here),
            await made(place, here, credentials=False),
            await made(place, offline),
            await made(place, offline, place.file(DENY_ALL, "current.json")),
        ]
        assert [plan.document["before_from"] for plan in plans] == [
            "Rancher",
            f"the agent at {place.address}",
            str(topology),
            str(tmp_path / "current.json"),
        ]
        assert [plan.document["opened"]["pairs"] for plan in plans] == [1, 1, 1, 3]
        assert [bool(plan.document["asked"]) for plan in plans] == [True, True, False, False]
        first = plans[0].network
        assert first is not None
        assert (first.document.as_json(), [plan.network for plan in plans[1:]]) == (WITHIN_STACK, [None] * 3)


async def test_a_topology_without_a_good_policy_needs_one(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        text = (await place.running.get("/v1/topology"))[1].replace('"stack"', '"stac"')
        offline = Places(agents=[None], topology=Path(place.file(text, "topology.json")))
        with pytest.raises(UsageError, match=r"policy\[0\].within"):
            await made(place, offline)
