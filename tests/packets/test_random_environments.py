"""Real packets in random environments get the reference verdict: TCP, UDP and ICMP, in both directions."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from corral.nft.values import Verb
from corral.policy.rules import Policy
from corral.policy.verdict import judge
from corral.sandbox.topology import Topology
from corral.types import Action

from ..policy.strategies import NAMES, Container, containers, endpoints_of, flows, rules
from ..policy.test_equivalence import enforced
from .rig import CONTAINERS, Rig, rig_on, scene_of

# Full houses, labels everywhere and several rules: in most random environments little meets.
CONTAINERS_WITH_LABELS = st.builds(
    replace,
    containers,
    local=st.sampled_from((True, True, False)),
    labels=st.fixed_dictionaries({"dept": st.sampled_from(("qa", "eng")), "Role": st.sampled_from(("qa", "eng"))}),
)
WORLDS = st.fixed_dictionaries(dict.fromkeys(NAMES, CONTAINERS_WITH_LABELS))
POLICIES = st.builds(
    Policy,
    st.lists(rules, min_size=2, max_size=5).map(tuple),
    st.sampled_from((Action.DENY, Action.DENY, Action.ALLOW)),
    st.just(value=True),
)
ENVIRONMENTS = int(os.environ.get("CORRAL_ENVIRONMENTS", "200"))


def test_packets_get_the_reference_verdict(topology: Topology) -> None:
    with topology.hosts[0].namespace, asyncio.Runner() as runner:
        context = rig_on(topology)
        rig = runner.run(context.__aenter__())

        # Shrinking would repeat seconds of probing for hours: the first counterexample is small as it is.
        @settings(
            max_examples=ENVIRONMENTS, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
        )
        @given(WORLDS, POLICIES)
        def check(world: dict[str, Container], policy: Policy) -> None:
            runner.run(check_world(rig, world, policy))

        try:
            check()
        finally:
            runner.run(context.__aexit__(None, None, None))


async def check_world(rig: Rig, world: dict[str, Container], policy: Policy) -> None:
    scene = scene_of(policy, endpoints_of(world))
    await rig.enforce(scene)
    probes = [flow for flow in flows(CONTAINERS) if flow.client != flow.server]
    passing = {flow for flow in probes if enforced(scene, flow) is Verb.ACCEPT}
    outcomes = await rig.outcomes(passing, set(probes) - passing)
    wrong = {
        flow: (outcome, judge(scene, flow).sentence)
        for flow, outcome in outcomes.items()
        if outcome.passed is not (flow in passing)
    }
    assert not wrong
