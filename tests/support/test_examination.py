"""The doctor's look at a real kernel, a real metadata service and a real API, each in good and in bad states."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from corral.config import load_settings
from corral.dataplane.kernel import KernelDataplane
from corral.documents.doctor import Check
from corral.errors import UnreachableError
from corral.nft.transaction import AddChain, AddRule, AddTable, Transaction
from corral.nft.values import Chain, Hook, NftRule, Verb, Verdict
from corral.sandbox.documents import render_root
from corral.sources.agent import AgentClient
from corral.support.doctor import judge
from corral.support.examination import examine, one_snapshot, see_agent, see_table
from corral.support.findings import AgentSeen, TableSeen, Unread

from ..daemon.running import running_agent, small_environment
from ..dataplane.places import leave_rancher, load
from ..kernel.namespaces import Namespace, set_bridge_filtering_everywhere
from ..kernel.test_refusals import CAP_NET_ADMIN, set_capabilities
from ..sources.servers import Metadata, http_server

NOBODY = AgentClient("127.0.0.1", 1)
DROP = NftRule((Verdict(Verb.DROP),))
TABLE = Transaction(
    (AddTable(), AddChain(Chain("forward", (), hook=Hook("forward", -10))), AddRule("forward", DROP)),
)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace() as created, created.entered():
        set_bridge_filtering_everywhere(created, on=False)
        yield created


def set_ipv4(setting: str, value: int) -> None:
    Path(f"/proc/sys/net/ipv4/{setting}").write_text(str(value))


@dataclass
class Host:
    """What the doctor asks; its checks by name."""

    metadata: str = "http://127.0.0.1:1/2016-07-29"
    rancher: str = ""

    async def checks(self) -> dict[str, list[Check]]:
        api = {"CATTLE_URL": self.rancher, "CATTLE_ACCESS_KEY": "key", "CATTLE_SECRET_KEY": "secret"}
        settings = load_settings({"CORRAL_METADATA_URL": self.metadata, **(api if self.rancher else {})})
        found: dict[str, list[Check]] = {}
        for check in judge(await examine(settings, NOBODY)):
            found.setdefault(check["check"], []).append(check)
        return found

    async def outcome(self, name: str) -> str:
        (check,) = (await self.checks())[name]
        return check["outcome"]


@asynccontextmanager
async def metadata_service(policy: object, default: str | None) -> AsyncIterator[str]:
    environment, metadata = small_environment(), Metadata()
    environment.set_policy(policy, default)
    metadata.publish(**render_root(environment.records, environment.host(0)))
    async with metadata.serve() as url:
        yield url


async def test_an_empty_host(namespace: Namespace) -> None:
    namespace.run("sysctl -qw net.ipv4.ip_forward=0")  # a namespace begins with what the machine has
    checks = await Host().checks()
    outcomes = {name: found[0]["outcome"] for name, found in checks.items()}
    assert outcomes == {
        "settings": "ok",
        "privileges": "ok",
        "kernel": "ok",
        "metadata": "problem",
        "managed network": "unknown",
        "policy": "unknown",
        "bridge filtering": "unknown",
        "forwarding": "problem",
        "table": "warning",
        "agent": "warning",
        "foreign chains": "ok",
        "Rancher's manager": "ok",
        "PastureStack's manager": "ok",
        "connection tracking": "ok",
        "credentials": "warning",
        "clock": "unknown",
        "ICMP redirects": "unknown",
    }
    assert namespace.run("nft list ruleset") == ""


async def test_network_policy_and_bridge_as_the_metadata_tells(namespace: Namespace) -> None:
    async with metadata_service([{"within": "stack", "action": "allow"}], "deny") as url:
        host = Host(url)
        before = await host.checks()
        assert before["metadata"][0]["outcome"] == "ok"
        assert before["managed network"][0]["found"] == "ipsec: 10.42.0.0/16 on bridge docker0"
        assert before["policy"][0]["found"] == "default deny, 1 rule"
        assert (before["bridge filtering"][0]["outcome"], before["ICMP redirects"][0]["outcome"]) == (
            "problem",
            "unknown",
        )
        namespace.run("ip link add docker0 type bridge")
        off = await host.checks()
        assert "does not pass its packets" in off["bridge filtering"][0]["found"]
        assert off["ICMP redirects"][0]["outcome"] == "warning"
        namespace.run("ip link set docker0 type bridge nf_call_iptables 1")
        set_ipv4("conf/all/send_redirects", 0)
        set_ipv4("conf/docker0/send_redirects", 0)
        on = await host.checks()
        assert (on["bridge filtering"][0]["outcome"], on["ICMP redirects"][0]["outcome"]) == ("ok", "ok")


@pytest.mark.usefixtures("namespace")
async def test_a_policy_that_is_none_and_one_that_is_wrong() -> None:
    async with metadata_service(None, None) as url:
        assert await Host(url).outcome("policy") == "warning"
    async with metadata_service([{"within": "galaxy", "action": "allow"}], "deny") as url:
        (check,) = (await Host(url).checks())["policy"]
        assert check["outcome"] == "problem"
        assert "galaxy" in check["found"]


@pytest.mark.usefixtures("namespace")
async def test_forwarding() -> None:
    set_ipv4("ip_forward", 1)
    assert await Host().outcome("forwarding") == "ok"


def test_without_the_privilege(namespace: Namespace) -> None:
    """In a thread of its own, since privileges are a thread's. What can not be read is unknown, and nothing breaks."""
    namespace.run("iptables-legacy -A FORWARD -i eth9 -j REJECT")
    found: dict[str, list[Check]] = {}

    def look() -> None:
        with namespace.entered():
            set_capabilities(lambda effective: effective & ~(1 << CAP_NET_ADMIN))
            found.update(asyncio.run(Host().checks()))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    unknown = ("kernel", "table", "foreign chains", "Rancher's manager", "PastureStack's manager")
    assert {found[name][0]["outcome"] for name in unknown} == {"unknown"}
    (privileges,) = found["privileges"]
    assert privileges["outcome"] == "problem"


async def test_the_table(namespace: Namespace) -> None:
    assert await see_table() is None
    async with KernelDataplane() as dataplane:
        await dataplane.commit(TABLE)
    assert await see_table() == TableSeen(base_chains=1, drops=True)
    checks = await Host().checks()
    assert (checks["table"][0]["outcome"], checks["agent"][0]["outcome"]) == ("ok", "problem")
    load(namespace, "table inet corral { chain more { type filter hook forward priority 5; }; }")
    assert await Host().outcome("table") == "problem"
    namespace.run("nft flush chain inet corral forward")
    seen = await see_table()
    assert isinstance(seen, TableSeen)
    assert not seen.drops


async def test_foreign_chains_of_every_kind(namespace: Namespace) -> None:
    namespace.run("iptables-nft -P FORWARD DROP", "iptables-nft -A FORWARD -i eth9 -j ACCEPT")
    namespace.run("iptables-legacy -A FORWARD -i eth9 -j REJECT")
    load(namespace, "table bridge strict { chain f { type filter hook forward priority -5; policy drop; }; }")
    found = [(check["outcome"], check["found"].split(" (")[0]) for check in (await Host().checks())["foreign chains"]]
    assert found == [
        ("problem", "chain bridge strict f"),
        ("warning", "chain ip filter FORWARD"),
        ("warning", "chain legacy ip filter FORWARD"),
    ]


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
async def test_leftovers_of_ranchers_manager(namespace: Namespace, program: str) -> None:
    leave_rancher(namespace, program)
    checks = await Host().checks()
    assert checks["Rancher's manager"][0]["outcome"] == "warning"
    assert "2 ipsets" in checks["Rancher's manager"][0]["found"]
    assert checks["foreign chains"][0]["outcome"] == "ok"


async def test_pasturestacks_table(namespace: Namespace) -> None:
    load(namespace, "table inet pasturestack_policy { chain f { type filter hook forward priority -10; drop; }; }")
    checks = await Host().checks()
    assert checks["PastureStack's manager"][0]["outcome"] == "warning"
    assert checks["foreign chains"][0]["outcome"] == "ok"


@pytest.mark.parametrize(
    ("status", "date", "credentials", "clock"),
    [
        (200, None, "ok", "ok"),
        (401, None, "problem", "ok"),
        (200, "Sat, 01 Jan 2000 00:00:00 GMT", "ok", "warning"),
        (200, "yesterday", "ok", "unknown"),
    ],
)
@pytest.mark.usefixtures("namespace")
async def test_credentials_and_clock(status: int, date: str | None, credentials: str, clock: str) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Authorization"].startswith("Basic ")
        return web.json_response({"data": []}, status=status, headers={"Date": date} if date else {})

    async with http_server(answer) as url:
        checks = await Host(rancher=url).checks()
    assert (checks["credentials"][0]["outcome"], checks["clock"][0]["outcome"]) == (credentials, clock)


@pytest.mark.usefixtures("namespace")
async def test_an_api_that_is_not_there() -> None:
    checks = await Host(rancher="http://127.0.0.1:1").checks()
    assert (checks["credentials"][0]["outcome"], checks["clock"][0]["outcome"]) == ("problem", "unknown")


async def test_an_agent_and_what_is_none() -> None:
    async with running_agent() as running:
        host, port = running.url.removeprefix("http://").split(":")
        seen, state = await see_agent(AgentClient(host, int(port)))
        assert isinstance(seen, AgentSeen)
        assert (seen.mode, seen.events) == ("enforce", None)
        assert state["version"] == seen.version
    assert await see_agent(NOBODY) == (None, {})


@pytest.mark.parametrize("status", [200, 404])
async def test_a_stranger_at_the_agents_address(status: int) -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"hello": "world"}, status=status)

    async with http_server(answer) as url:
        host, port = url.removeprefix("http://").split(":")
        seen, _ = await see_agent(AgentClient(host, int(port)))
    assert isinstance(seen, Unread)


async def test_a_metadata_service_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/2016-07-29"
        with pytest.raises(UnreachableError, match="no answer within"):
            await one_snapshot(url, patience=0.05)
