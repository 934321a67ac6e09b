"""What the doctor's findings mean, and what to do about them. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from corral.config import Mode
from corral.daemon.facts import lasting
from corral.documents.doctor import Check, Outcome
from corral.support.findings import AgentSeen, Findings, TableSeen, Unread
from corral.support.obstruction import foreign_chains, pasturestack_leftovers, rancher_leftovers

_CROWDED = 0.8  # of connection tracking
_CLOCK_OFF = 300.0  # seconds

# By their names in kernels that have them all; newer ones have some of them in nf_tables.
_NEEDED_MODULES = "nf_tables, nft_ct, nft_counter and nft_objref"
_LOGGING_MODULES = "nfnetlink_log, nft_log and nft_limit"


def judge(findings: Findings) -> list[Check]:
    """Every check, in the order in which they are best mended."""
    return [_check(name, *found) for name, look in _CHECKS.items() for found in look(findings)]


Found = tuple[Outcome, str, str | None]
Look = Callable[[Findings], Iterator[Found]]


def _check(name: str, outcome: Outcome, found: str, remedy: str | None) -> Check:
    return {"check": name, "outcome": outcome, "found": found, "remedy": remedy}


def _settings(findings: Findings) -> Iterator[Found]:
    if findings.settings_error is None:
        yield "ok", "the settings in this environment can be read", None
    else:
        yield "problem", findings.settings_error, "correct it: with it the agent does not start"


def _privileges(findings: Findings) -> Iterator[Found]:
    if findings.privileged:
        yield "ok", "this process has the capability CAP_NET_ADMIN", None
    elif findings.privileged is None:
        yield "unknown", "the capabilities of this process can not be read", "see that /proc is mounted"
    else:
        yield "problem", "this process lacks the capability CAP_NET_ADMIN", findings.privilege_remedy


def _kernel(findings: Findings) -> Iterator[Found]:
    inabilities = findings.inabilities
    if isinstance(inabilities, Unread):
        yield "unknown", inabilities.why, "run this with CAP_NET_ADMIN, on a kernel with nftables"
        return
    if not inabilities:
        yield "ok", "the kernel takes everything that corral's table is made of", None
    for inability in inabilities:
        found = f"the kernel refuses {inability.feature}: {inability.error}"
        if inability.optional:
            yield "warning", found, f"load the modules {_LOGGING_MODULES}; the policy is enforced without, too"
        else:
            yield "problem", found, f"use a kernel with nftables, 5.10 or later, and its modules {_NEEDED_MODULES}"


def _agent(findings: Findings) -> Iterator[Found]:
    agent = findings.agent
    if isinstance(agent, Unread):
        yield "problem", agent.why, "see what listens on CORRAL_LISTEN, or give the agent's address with --agent"
    elif agent is None:
        yield _no_agent(findings)
    elif agent.ready and not agent.reasons:
        yield "ok", f"the agent ({agent.version}) is ready, in mode {agent.mode}", None
    else:
        remedy = "see the page on troubleshooting: it goes through the reasons"
        for reason in agent.reasons:
            yield ("warning", f"ready, but: {reason}", remedy) if agent.ready else ("problem", reason, remedy)


def _no_agent(findings: Findings) -> Found:
    remedy = "start `corral agent`, and see its log if it does not stay"
    if isinstance(findings.table, TableSeen):
        found = "no agent answers: the table is in force, but nobody keeps it up to date"
        return "problem", found, remedy
    return "warning", "no agent answers, and no policy is enforced on this host", remedy


def _table(findings: Findings) -> Iterator[Found]:
    table, agent = findings.table, findings.agent
    if isinstance(table, Unread):
        yield "unknown", table.why, "run this with CAP_NET_ADMIN"
    elif table is None:
        yield _no_table(findings)
    elif table.base_chains != 1 or table.alien:
        more = f"; alien: {table.alien[0]}" if table.alien else ""
        found = f"table inet corral has {table.base_chains} base chains where one is expected{more}"
        remedy = "send the agent SIGHUP: it compares and repairs" if agent else "start the agent: it repairs it"
        yield "problem", found, remedy
    else:
        yield "ok", "table inet corral is there, with its one base chain", None


def _no_table(findings: Findings) -> Found:
    agent = findings.agent
    if not isinstance(agent, AgentSeen):
        return "warning", "there is no table inet corral: nothing is enforced here", "start `corral agent`"
    if agent.mode == Mode.OFF:
        remedy = "set CORRAL_MODE to audit or enforce when you want it"
        return "warning", "there is no table inet corral: the agent's mode is off", remedy
    return (
        "problem",
        "there is no table inet corral here, though an agent answers",
        "run this in the agent's network namespace, which has to be the host's; else see the agent's reasons",
    )


def _metadata(findings: Findings) -> Iterator[Found]:
    remedy = "look after the metadata service of this host; from here, CORRAL_METADATA_URL/version should answer"
    if isinstance(findings.agent, AgentSeen):
        source = findings.agent.metadata
        if source.connected:
            heard = "just now" if source.age is None else f"{lasting(source.age)} ago"
            yield "ok", f"the agent last heard of the metadata service {heard}", None
        else:
            silent = "" if source.age is None else f" for {lasting(source.age)}"
            yield "problem", f"the metadata service does not answer the agent{silent}: {source.error}", remedy
    elif isinstance(findings.metadata, Unread):
        yield "problem", f"the metadata service does not answer: {findings.metadata.why}", remedy
    else:
        yield "ok", "the metadata service answers", None


def _policy(findings: Findings) -> Iterator[Found]:
    policy = findings.policy
    if policy is None:
        yield "unknown", "no policy is known: no metadata, or no managed network in it", "see the checks of these"
    elif policy.problems:
        for problem in policy.problems:
            yield "problem", f"the policy is rejected: {problem}", "correct the policy in Rancher"
    elif not policy.is_set:
        found = "no policy is set in Rancher: everything is allowed"
        yield "warning", found, "set `defaultPolicyAction` and `policy` of the environment's network"
    else:
        yield "ok", f"default {policy.default}, {policy.rules} {'rule' if policy.rules == 1 else 'rules'}", None


def _network(findings: Findings) -> Iterator[Found]:
    network = findings.network
    if network is None:
        remedy = "see that the metadata service answers, and that the environment's network service is up"
        yield "unknown", "no managed network is known", remedy
    else:
        yield "ok", f"{network.name}: {', '.join(network.subnets)} on bridge {network.bridge}", None


def _credentials(findings: Findings) -> Iterator[Found]:
    remedy = "correct CATTLE_URL, CATTLE_ACCESS_KEY and CATTLE_SECRET_KEY (or CORRAL_RANCHER_*), or mend the way there"
    api, events = findings.api, findings.agent.events if isinstance(findings.agent, AgentSeen) else None
    if api is not None:
        said = f"Rancher's API at {api.url} takes the credentials" if api.error is None else api.error
        yield ("ok", said, None) if api.error is None else ("problem", said, remedy)
    elif events is not None:
        found = "the agent's event stream is connected" if events.connected else f"event stream: {events.error}"
        yield ("ok", found, None) if events.connected else ("problem", found, remedy)
    else:
        found = "no credentials for Rancher's API: changes are seen by the metadata service only, seconds later"
        yield "warning", found, "give the agent the labels that make Rancher create an agent's key, or CORRAL_RANCHER_*"


def _clock(findings: Findings) -> Iterator[Found]:
    theirs = None if findings.api is None else findings.api.clock
    if theirs is None:
        # The metadata service runs on this very host, by the same clock.
        yield "unknown", "no Rancher server tells the time to compare with", None
        return
    apart = findings.now - theirs
    if abs(apart) < _CLOCK_OFF:
        yield "ok", f"this host's clock is within {max(1.0, abs(apart)):.0f} s of the Rancher server's", None
    else:
        way = "ahead of" if apart > 0 else "behind"
        remedy = "synchronise the clock (NTP): times in logs mislead, and TLS may fail"
        yield "warning", f"this host's clock is {lasting(abs(apart))} {way} the Rancher server's", remedy


def _bridge(findings: Findings) -> Iterator[Found]:
    network, filtering = findings.network, findings.bridge
    if network is None:
        yield "unknown", "the managed bridge is not known", "see that the metadata service answers"
    elif isinstance(filtering, Unread):
        yield "unknown", filtering.why, None
    elif filtering is None:
        remedy = "run this, and the agent, in the host's network namespace; see that the network service is up"
        yield "problem", f"there is no bridge {network.bridge} here", remedy
    elif not filtering.supported:
        found = "the kernel module br_netfilter is not loaded: nothing between containers of this host is enforced"
        yield "problem", found, "run `modprobe br_netfilter`, and put a line into /etc/modules-load.d"
    elif not filtering.filters_ipv4:
        found = f"bridge {network.bridge} does not pass its packets to the IP hooks"
        remedy = f"start the agent, which switches it on; by hand: `ip link set {network.bridge} type bridge"
        yield "problem", found, f"{remedy} nf_call_iptables 1`"
    else:
        how = "its own switch" if filtering.ipv4 else "net.bridge.bridge-nf-call-iptables"
        yield "ok", f"bridge {network.bridge} passes its packets to the IP hooks, by {how}", None
        if not filtering.tagged:
            found = "packets in frames with a VLAN tag are not judged, and containers that may make raw packets can tag"
            yield "warning", found, "run `sysctl -w net.bridge.bridge-nf-filter-vlan-tagged=1`, or drop their NET_RAW"


def _forwarding(findings: Findings) -> Iterator[Found]:
    if findings.forwarding is None:
        yield "unknown", "net.ipv4.ip_forward can not be read", "see that /proc is mounted"
    elif findings.forwarding:
        yield "ok", "this host forwards IPv4", None
    else:
        found = "net.ipv4.ip_forward is 0: containers reach neither other hosts nor the outside"
        yield "problem", found, "run `sysctl -w net.ipv4.ip_forward=1`, and find out who set it to 0"


def _tracking(findings: Findings) -> Iterator[Found]:
    seen = findings.tracking
    if seen is None:
        yield "unknown", "connection tracking can not be read; it is loaded by the first rule that needs it", None
        return
    used = f"connection tracking holds {seen.entries} of {seen.limit} entries"
    remedy = "raise net.netfilter.nf_conntrack_max, or find out who opens so many connections"
    if 0 < seen.limit <= seen.entries:
        yield "problem", f"{used}: the kernel drops new connections", remedy
    elif 0 < seen.limit * _CROWDED <= seen.entries:
        yield "warning", f"{used}: when it is full, the kernel drops new connections", remedy
    else:
        yield "ok", used, None


def _redirects(findings: Findings) -> Iterator[Found]:
    network, seen = findings.network, findings.redirects
    if network is None or seen is None:
        yield "unknown", "the managed bridge is not known", None
    elif not seen.sent:
        yield "ok", f"this host sends no ICMP redirects to bridge {network.bridge}", None
    else:
        found = f"this host may send ICMP redirects to bridge {network.bridge}: denied pings to other hosts look odd"
        both = f"net.ipv4.conf.{network.bridge}.send_redirects and net.ipv4.conf.all.send_redirects"
        yield "warning", found, f"harmless; to be rid of them set {both} to 0"


_CHECKS: dict[str, Look] = {
    "settings": _settings,
    "privileges": _privileges,
    "kernel": _kernel,
    "metadata": _metadata,
    "managed network": _network,
    "policy": _policy,
    "bridge filtering": _bridge,
    "forwarding": _forwarding,
    "table": _table,
    "agent": _agent,
    "foreign chains": foreign_chains,
    "Rancher's manager": rancher_leftovers,
    "PastureStack's manager": pasturestack_leftovers,
    "connection tracking": _tracking,
    "credentials": _credentials,
    "clock": _clock,
    "ICMP redirects": _redirects,
}
