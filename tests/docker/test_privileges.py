"""What the container may do, by what Docker and the kernel say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from corral.sandbox.launch import CAP_NET_ADMIN

from .agent import SIDEKICK_FILE, STACK_FILE, Agent
from .place import Place
from .seed import describe

ONE = f"{1 << CAP_NET_ADMIN:016x}"


@pytest.mark.parametrize("file", [STACK_FILE, SIDEKICK_FILE], ids=["stack", "sidekick"])
async def test_one_capability_and_nothing_else(place: Place, file: Path) -> None:
    agent = Agent(place, file=file)
    describe(place.environment)
    await agent.up()
    await agent.enforced()
    found = await place.engine.inspect(await agent.container())
    settings, configuration = found["HostConfig"], found["Config"]
    assert (settings["CapAdd"], settings["CapDrop"]) == (["NET_ADMIN"], ["ALL"])
    assert settings["Privileged"] is False
    assert settings["ReadonlyRootfs"] is True
    assert settings["NetworkMode"] == "host"
    assert (settings["PidMode"], settings["UTSMode"], settings["UsernsMode"]) == ("", "", "")
    assert not settings["Binds"]
    assert not settings["Devices"]
    assert not settings["SecurityOpt"]
    assert [mount for mount in found["Mounts"] if mount["Type"] == "bind"] == []
    assert settings["LogConfig"]["Config"]["max-size"]
    assert configuration["User"] == "65532:0"

    status = process(await place.engine.pid(await agent.container()))
    assert {status[f"Cap{kind}"] for kind in ("Eff", "Prm", "Bnd")} == {ONE}
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Amb")} <= {ONE, f"{0:016x}"}
    assert set(status["Uid"].split()) == {"65532"}
    assert status["Seccomp"] == "2"


def process(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
