"""corral goes: the agent first, then the table, as docs/uninstalling.md says."""

from __future__ import annotations

from corral.sandbox.probes import Outcome

from . import host
from .agent import Agent
from .engine import BRIDGE, IMAGE
from .place import Place
from .seed import SERVICES, describe

CLEANUP = ("run", "--rm", "--network", "host", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", IMAGE, "cleanup")


async def test_nothing_is_left(place: Place, agent: Agent) -> None:
    describe(place.environment)
    await place.start_all(dict.fromkeys(SERVICES, 1))
    engine = place.engine
    others, dockers = await host.tables(engine), await host.dockers(engine)
    assert not await host.bridge_filters(engine)
    await agent.up()
    await agent.enforced()
    assert await host.bridge_filters(engine)

    beside_an_agent = await engine.ran("docker", *CLEANUP)
    assert beside_an_agent.returncode == 1
    assert "stop the agent first" in beside_an_agent.stdout
    await agent.enforced()

    await agent.compose("rm", "--stop", "--force")
    assert await host.base_chains(engine) == [("corral", "forward")]
    assert place.disagreements(await place.outcomes()) == []
    assert "table inet corral removed" in await engine.docker(*CLEANUP)
    assert await host.tables(engine) == others
    assert await host.dockers(engine) == dockers
    assert set((await place.outcomes()).values()) == {Outcome.ANSWERED}
    assert "nothing to remove" in await engine.docker(*CLEANUP)

    assert await host.bridge_filters(engine)
    await engine.run("ip", "link", "set", BRIDGE, "type", "bridge", "nf_call_iptables", "0", "nf_call_ip6tables", "0")
    assert not await host.bridge_filters(engine)
    names = await engine.docker("ps", "--all", "--format", "{{.Image}} {{.Names}}")
    assert "network-policy" not in names
