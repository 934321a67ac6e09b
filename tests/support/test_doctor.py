"""Each check of the doctor, in its good and its bad states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from corral.dataplane.bridge import BridgeFiltering
from corral.dataplane.host.sysctls import Redirects, Tracking
from corral.dataplane.host.trial import Inability
from corral.documents.doctor import Check
from corral.support.doctor import judge
from corral.support.findings import (
    AgentSeen,
    ApiSeen,
    Findings,
    NetworkSeen,
    PolicySeen,
    SourceSeen,
    TableSeen,
    Unread,
)
from tests.documents.checking import check

CONNECTED = SourceSeen(connected=True, age=3.0, error=None)
AGENT = AgentSeen("1.0", ready=True, mode="enforce", reasons=(), metadata=CONNECTED, events=CONNECTED)
GOOD = Findings(
    now=1000.0,
    table=TableSeen(base_chains=1),
    agent=AGENT,
    network=NetworkSeen("ipsec", "docker0", ("10.42.0.0/16",)),
    policy=PolicySeen(is_set=True, default="deny", rules=2),
    api=ApiSeen("http://rancher/v2-beta", None, clock=999.0),
    bridge=BridgeFiltering(ipv4=True, ipv6=True, tagged=True),
    tracking=Tracking(10, 100),
    redirects=Redirects(bridge=False, everywhere=False),
)


def of(findings: Findings, name: str) -> list[Check]:
    return [found for found in judge(findings) if found["check"] == name]


def test_a_good_host() -> None:
    checks = judge(GOOD)
    assert [found for found in checks if found["outcome"] != "ok"] == []
    assert len({found["check"] for found in checks}) == len(checks) == 17
    check(list[Check], checks)


@pytest.mark.parametrize(
    ("name", "changes", "outcome", "found", "remedy"),
    [
        ("settings", {"settings_error": "CORRAL_MODE: 'x' given"}, "problem", "CORRAL_MODE", "does not start"),
        ("privileges", {"privileged": False, "privilege_remedy": "grant it"}, "problem", "lacks", "grant it"),
        ("privileges", {"privileged": None}, "unknown", "can not be read", "/proc"),
        ("kernel", {"inabilities": Unread("no nftables")}, "unknown", "no nftables", "CAP_NET_ADMIN"),
        ("kernel", {"inabilities": (Inability("maps", "EINVAL"),)}, "problem", "refuses maps: EINVAL", "kernel"),
        ("kernel", {"inabilities": (Inability("logs", "ENOENT", True),)}, "warning", "logs", "nfnetlink_log"),
        ("metadata", {"agent": None, "metadata": Unread("no route")}, "problem", "no route", "METADATA_URL"),
        ("metadata", {"agent": None}, "ok", "answers", None),
        ("managed network", {"network": None}, "unknown", "no managed network", "network service"),
        ("policy", {"policy": None}, "unknown", "no policy is known", "these"),
        ("policy", {"policy": PolicySeen(False, "not set (allow)", 0)}, "warning", "everything is allowed", "set"),
        ("policy", {"policy": PolicySeen(True, "x", 0, ("policy[1]: bad",))}, "problem", "policy[1]: bad", "Rancher"),
        ("bridge filtering", {"bridge": Unread("EPERM")}, "unknown", "EPERM", None),
        ("bridge filtering", {"network": None}, "unknown", "not known", "metadata"),
        ("bridge filtering", {"bridge": None}, "problem", "no bridge docker0", "host's network namespace"),
        ("bridge filtering", {"bridge": BridgeFiltering(None, None)}, "problem", "br_netfilter", "modprobe"),
        ("bridge filtering", {"bridge": BridgeFiltering(False, False)}, "problem", "docker0", "nf_call_iptables 1"),
        (
            "bridge filtering",
            {"bridge": BridgeFiltering(False, False, everywhere_ipv4=True, tagged=True)},
            "ok",
            "bridge-nf-call-iptables",
            None,
        ),
        ("forwarding", {"forwarding": False}, "problem", "ip_forward is 0", "sysctl -w net.ipv4.ip_forward=1"),
        ("forwarding", {"forwarding": None}, "unknown", "can not be read", "/proc"),
        ("table", {"table": Unread("EPERM")}, "unknown", "EPERM", "CAP_NET_ADMIN"),
        ("table", {"table": None}, "problem", "though an agent answers", "network namespace"),
        ("table", {"table": None, "agent": None}, "warning", "nothing is enforced", "start"),
        ("table", {"table": None, "agent": replace(AGENT, mode="off")}, "warning", "mode is off", "CORRAL_MODE"),
        ("table", {"table": TableSeen(base_chains=2)}, "problem", "2 base chains", "SIGHUP"),
        ("table", {"table": TableSeen(0), "agent": None}, "problem", "0 base chains", "start the agent"),
        ("table", {"table": TableSeen(1, alien=("a flowtable",))}, "problem", "a flowtable", "SIGHUP"),
        ("agent", {"agent": Unread("a stranger")}, "problem", "a stranger", "--agent"),
        ("agent", {"agent": None}, "problem", "nobody keeps it up to date", "start"),
        ("agent", {"agent": None, "table": None}, "warning", "no policy is enforced", "start"),
        ("agent", {"agent": replace(AGENT, ready=False, reasons=("held up",))}, "problem", "held up", "reasons"),
        ("agent", {"agent": replace(AGENT, reasons=("no events",))}, "warning", "ready, but: no events", "reasons"),
        ("connection tracking", {"tracking": None}, "unknown", "can not be read", None),
        ("connection tracking", {"tracking": Tracking(79, 100)}, "ok", "79 of 100", None),
        ("connection tracking", {"tracking": Tracking(80, 100)}, "warning", "80 of 100", "nf_conntrack_max"),
        ("connection tracking", {"tracking": Tracking(100, 100)}, "problem", "drops new", "nf_conntrack_max"),
        ("connection tracking", {"tracking": Tracking(5, 0)}, "ok", "5 of 0", None),
        ("credentials", {"api": ApiSeen("x", "401: refused")}, "problem", "401: refused", "CATTLE_SECRET_KEY"),
        ("credentials", {"api": None}, "ok", "event stream is connected", None),
        (
            "credentials",
            {"api": None, "agent": replace(AGENT, events=SourceSeen(False, None, "no route"))},
            "problem",
            "no route",
            "CATTLE_URL",
        ),
        ("credentials", {"api": None, "agent": None}, "warning", "no credentials", "labels"),
        ("clock", {"api": None}, "unknown", "no Rancher server", None),
        ("clock", {"api": ApiSeen("x", None, clock=701.0)}, "ok", "299 s", None),
        ("clock", {"api": ApiSeen("x", None, clock=700.0)}, "warning", "5 min ahead of", "NTP"),
        ("clock", {"api": ApiSeen("x", None, clock=9000.0)}, "warning", "behind", "NTP"),
        ("ICMP redirects", {"network": None}, "unknown", "not known", None),
        ("ICMP redirects", {"redirects": Redirects(False, True)}, "warning", "may send", "send_redirects"),
        ("ICMP redirects", {"redirects": Redirects(True, False)}, "warning", "may send", "send_redirects"),
    ],
)
def test_one_thing_is_otherwise(
    name: str, changes: dict[str, Any], outcome: str, found: str, remedy: str | None
) -> None:
    (seen,) = of(replace(GOOD, **changes), name)
    assert seen["outcome"] == outcome
    assert found in seen["found"]
    assert (seen["remedy"] is None) if remedy is None else (remedy in (seen["remedy"] or ""))


def test_metadata_that_the_agent_waits_for() -> None:
    silent = replace(AGENT, metadata=SourceSeen(connected=False, age=300.0, error="refused"))
    (seen,) = of(replace(GOOD, agent=silent), "metadata")
    assert (seen["outcome"], seen["found"]) == (
        "problem",
        "the metadata service does not answer the agent for 5 min: refused",
    )
    (never,) = of(replace(GOOD, agent=replace(AGENT, metadata=SourceSeen(False, None, "refused"))), "metadata")
    assert never["found"] == "the metadata service does not answer the agent: refused"


def test_each_reason_and_each_inability_is_one_finding() -> None:
    two = replace(GOOD, agent=replace(AGENT, ready=False, reasons=("a", "b")))
    assert [seen["found"] for seen in of(two, "agent")] == ["a", "b"]
    inabilities = (Inability("a", "x"), Inability("b", "y"))
    assert len(of(replace(GOOD, inabilities=inabilities), "kernel")) == 2


def test_tagged_frames_that_nobody_looks_into_are_one_more_finding() -> None:
    filtering, tagged = of(replace(GOOD, bridge=BridgeFiltering(ipv4=True, ipv6=True)), "bridge filtering")
    assert (filtering["outcome"], tagged["outcome"]) == ("ok", "warning")
    assert "bridge-nf-filter-vlan-tagged=1" in (tagged["remedy"] or "")


def test_what_is_not_fine_comes_with_a_remedy() -> None:
    nothing = Findings(now=0.0, inabilities=Unread("x"), forwarding=False, tracking=Tracking(1, 1))
    assert [seen for seen in judge(nothing) if seen["outcome"] in {"problem", "warning"} and not seen["remedy"]] == []
