"""The seed's third example on what real containers send each other."""

from __future__ import annotations

from corral.sandbox.probes import Outcome

from .agent import Agent
from .place import KINDS, Place
from .seed import SERVICES, describe


async def test_the_third_example_of_the_seed_is_enforced(place: Place, agent: Agent) -> None:
    describe(place.environment)
    # A second container of one service, so that its own copies are among the pairs.
    await place.start_all({**dict.fromkeys(SERVICES, 1), "stack_one/service_one": 2})
    before = await place.outcomes()
    assert len(before) == 8 * 7 * len(KINDS)
    assert set(before.values()) == {Outcome.ANSWERED}
    await agent.up()
    await agent.enforced()
    after = await place.outcomes()
    assert place.disagreements(after) == []
    assert sum(outcome is Outcome.ANSWERED for outcome in after.values()) == (3 * 2 + 2) * len(KINDS)
