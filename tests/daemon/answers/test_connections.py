"""`/v1/connections` on real flows: a whole sandbox host, its agent and its packets."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from corral.config import load_settings
from corral.daemon.answers import connections
from corral.daemon.answers.connections import ConnectionReport
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.dataplane.flows.conntrack import Tracked, TrackedFlow
from corral.documents.connections import Connections
from corral.errors import UnreachableError
from corral.nft.tracker import Tracker
from corral.sandbox.world import Sandbox
from corral.types import Address, Protocol

from ...documents.checking import check
from ...e2e.places import WITHIN_STACK, allowed, forbidden, one_host
from ...policy.scenes import WITHIN_STACK as WITHIN
from ...policy.scenes import address, endpoint, policy, scene


async def asked(sandbox: Sandbox, query: str = "") -> dict[str, Any]:
    answer = await sandbox.agents[0].get(f"/v1/connections{query}")
    document: dict[str, Any] = answer.json()
    assert answer.status == 200, document
    check(Connections, document)
    return document


async def test_open_flows_by_name_beside_their_verdict() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        async with sandbox.stream(allowed(sandbox)), sandbox.stream(allowed(sandbox)):
            document = await asked(sandbox)
        assert (document["host"], document["mode"], document["truncated"]) == ("host1", "enforce", False)
        (entry,) = [entry for entry in document["connections"] if entry["open"]]
        assert entry["client"] == {
            "name": "front/web/front-web-1",
            "address": str(sandbox.address("front-web-1")),
            "party": "front/web",
        }
        assert (entry["protocol"], entry["port"], entry["state"], entry["count"]) == ("tcp", 80, "established", 2)
        assert len(entry["client_ports"]) == len(set(entry["client_ports"])) == 2
        assert (entry["verdict"], entry["rule"], entry["differs"]) == ("allow", 0, None)
        assert "both are in stack front" in entry["sentence"]
        assert (await asked(sandbox, "?differ=true"))["connections"] == []
        refused = await sandbox.agents[0].get("/v1/connections?differ=maybe")
        assert (refused.status, refused.json()["error"]) == (400, "differ: 'maybe' given; true or false is allowed")


async def test_where_the_policy_and_what_is_seen_disagree() -> None:
    async with Sandbox(one_host([], "allow")) as sandbox:
        await sandbox.enforced()
        async with sandbox.stream(forbidden(sandbox)):
            assert (await asked(sandbox, "?differ=true"))["connections"] == []
            await sandbox.put_policy(WITHIN_STACK, "deny")
            await sandbox.enforced()
            (cut,) = (await asked(sandbox, "?differ=true"))["connections"]
        assert (cut["client"]["party"], cut["server"]["party"]) == ("back/job", "front/db")
        assert (cut["verdict"], cut["decided_by"], cut["answered"]) == ("deny", "default", True)
        assert cut["differs"] == "works, would be denied"
        silent = sandbox.flow("front-web-1", "front-db-1", Protocol.UDP, 9999)
        with sandbox.namespace("front-web-1").socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"anybody?", (str(silent.server), 9999))
            port = client.getsockname()[1]
        unanswered = [one for one in (await asked(sandbox, "?differ=true"))["connections"] if one["protocol"] == "udp"]
        assert [(one["port"], one["client_ports"]) for one in unanswered] == [(9999, [port])]
        assert unanswered[0]["differs"] == "allowed, no answer"


async def test_more_than_people_read_is_cut_off_the_most_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def flow(client_port: int, port: int) -> TrackedFlow:
        return TrackedFlow(address(2), client_port, address(3), port, 6, "established", answered=True)

    flows = [flow(4000, 80), flow(4001, 443), flow(4002, 443), *(flow(4003, number) for number in range(1000, 1010))]
    judged_by = scene(policy(WITHIN), endpoint(2, "a/b"), endpoint(3, "a/c"))
    monkeypatch.setattr(connections, "MOST_SHOWN", 12)
    every, truncated = await connections._gathered(Tracked(99, flows), judged_by, {}, differing=False)
    assert (len(every), truncated) == (12, False)
    assert (every[0]["port"], every[0]["count"], every[0]["client_ports"]) == (443, 2, [4001, 4002])
    monkeypatch.setattr(connections, "MOST_SHOWN", 11)
    some, truncated = await connections._gathered(Tracked(99, flows), judged_by, {}, differing=False)
    assert (some, truncated) == (every[:11], True)


@pytest.mark.parametrize(("protocol", "name"), [(1, "icmp"), (132, "132")])
async def test_what_has_no_ports_for_rules_is_judged_like_icmp(protocol: int, name: str) -> None:
    ports = {"from": {"selector": "a"}, "to": {"selector": "a"}, "ports": ["80"], "action": "allow"}
    flow = TrackedFlow(address(2), 5, address(3), 80, protocol, "answered", answered=True)
    judged_by = scene(policy(ports), *(endpoint(number, labels={"a": ""}) for number in (2, 3)))
    ((found,), _) = await connections._gathered(Tracked(1, [flow]), judged_by, {}, differing=True)
    assert (found["protocol"], found["verdict"], found["differs"]) == (name, "deny", "works, would be denied")


async def test_nothing_is_known_before_the_first_picture() -> None:
    report = ConnectionReport(load_settings({}), Desk(Tracker(), Facts(), unknown_allowed=False))
    with pytest.raises(UnreachableError, match="nothing is known yet"):
        await report.connections(differing=False)


def test_only_flows_to_this_host_from_the_managed_network() -> None:
    judged_by = scene(policy(WITHIN), endpoint(2, "a/b"), endpoint(3, "a/c"), endpoint(4, "a/d", local=False))
    outside = Address.parse("192.0.2.1")
    pairs = [(client, server) for client in (address(2), address(99), outside) for server in (address(3), address(4))]
    assert [pair for pair in pairs if connections._concerns(judged_by, *pair)] == [
        (address(2), address(3)),
        (address(99), address(3)),
    ]
    assert not connections._concerns(judged_by, address(2), address(99))
