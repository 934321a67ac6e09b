"""What reports mean in the environment's words."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.daemon.denials import FLOWLESS, DeniedBook, End, Observer, Seen
from corral.daemon.desk import Desk
from corral.dataplane.flows.conntrack import TrackedFlow
from corral.dataplane.flows.flowlog import GROUP, LoggedPacket
from corral.dataplane.flows.packet import ICMP, ICMPV6, TCP, Header
from corral.documents.denied import DeniedFlow
from corral.policy.enforcement import LOG_GROUP, log_prefix
from corral.policy.render import INVALID_DROP, IPV6_DROP, default_counter, rule_counter
from corral.policy.rules import Policy
from corral.policy.validate import parse_policy
from corral.types import Action, Address

from ..documents.checking import check
from .running import desk_of, small_environment

DENY = default_counter(Action.DENY)
STRANGER = Address.parse("10.42.200.1")


@pytest.fixture
def desk() -> Desk:
    return desk_of(small_environment())


def address(desk: Desk, name: str) -> Address:
    containers = desk.inventory.containers
    return next(at for at, each in desk.inventory.endpoints.items() if containers[each.containers[0]].name == name)


def logged(
    client: Address, server: Address, counter: str = DENY, *, audit: bool = False, port: int | None = 80
) -> LoggedPacket:
    return LoggedPacket(log_prefix(counter, audit=audit), Header(client, server, TCP, 40000, port), None)


def see(desk: Desk, packet: LoggedPacket, flow: TrackedFlow | None = None, observer: Observer | None = None) -> Seen:
    scene = desk.scene()
    assert scene is not None
    seen = (observer or Observer()).see(packet, flow, scene, desk.inventory.containers)
    assert seen is not None
    return seen


def with_policy(rules: object, default: str = "deny") -> Desk:
    environment = small_environment()
    environment.set_policy(rules, default)
    return desk_of(environment)


def test_the_group_is_the_one_that_the_table_logs_to() -> None:
    assert GROUP == LOG_GROUP


def test_both_ends_are_named(desk: Desk) -> None:
    job, db = address(desk, "back-job-1"), address(desk, "front-db-1")
    seen = see(desk, logged(job, db))
    assert seen.denial.client == End("back/job/back-job-1", str(job), "back/job")
    assert seen.denial.server == End("front/db/front-db-1", str(db), "front/db")
    assert (seen.denial.protocol, seen.denial.port, seen.denial.verdict) == ("tcp", 80, "deny")
    assert (seen.denial.decided_by, seen.denial.rule, seen.answered) == ("default", None, False)
    assert seen.sentence() == "denied by the default action: no rule matches"


def test_the_tracked_flow_counts_and_not_the_packet(desk: Desk) -> None:
    job, db = address(desk, "back-job-1"), address(desk, "front-db-1")
    flow = TrackedFlow(job, 40000, db, 5432, TCP, "established", answered=True)
    seen = see(desk, logged(db, job, port=40000), flow)
    assert (seen.denial.client.address, seen.denial.server.address, seen.denial.port) == (str(job), str(db), 5432)
    assert seen.answered


def test_a_denying_rule_is_named_with_the_index_that_it_has() -> None:
    rules = [{"within": "stack", "action": "allow"}, {"between": {"groupBy": "x"}, "action": "deny"}]
    desk = with_policy(rules, "allow")
    assert desk.policy is not None
    web, db = address(desk, "front-web-1"), address(desk, "front-db-1")
    seen = see(desk, logged(web, db, rule_counter(desk.policy.rules[1])))
    assert (seen.denial.decided_by, seen.denial.rule, seen.denial.rule_text) == ("rule", 1, "between groupBy x: deny")
    # The reference verdict says that the flow is allowed: the kernel has dropped the packet, and its word counts.
    assert seen.sentence() == "denied by policy[1] (between groupBy x: deny)"


def test_where_verdict_and_kernel_disagree_the_kernels_word_counts(desk: Desk) -> None:
    web, db = address(desk, "front-web-1"), address(desk, "front-db-1")
    assert see(desk, logged(web, db)).sentence() == "denied by the default action"  # the verdict allows it by a rule
    outside = Address.parse("192.0.2.7")  # not judged, says the verdict
    assert see(desk, logged(outside, db)).sentence().endswith("an end is no known endpoint")
    other = with_policy([{"within": "stack", "action": "deny"}])
    web, db = address(other, "front-web-1"), address(other, "front-db-1")
    seen = see(other, logged(web, db))  # the verdict denies it by a rule
    assert (seen.denial.decided_by, seen.denial.rule, seen.sentence()) == (
        "default",
        None,
        "denied by the default action",
    )


def test_a_rule_of_the_policy_before_is_still_known(desk: Desk) -> None:
    observer = Observer()
    rule = parse_policy([{"within": "service", "action": "deny"}], "allow").rules[0]
    observer.rules.look_up("x", Policy((rule,)))
    web = address(desk, "front-web-1")
    seen = see(desk, logged(web, web, rule_counter(rule)), observer=observer)
    assert (seen.denial.rule, seen.denial.rule_text) == (0, "within service: deny")
    observer.rules.look_up("x", Policy())
    observer.rules.look_up("x", Policy((), Action.DENY))
    assert see(desk, logged(STRANGER, STRANGER, rule_counter(rule)), observer=observer).denial.rule is None


def test_of_two_rules_that_read_the_same_the_first_decides() -> None:
    rules = [{"within": "service", "action": "deny"}] * 2
    desk = with_policy(rules)
    assert desk.policy is not None
    db = address(desk, "front-db-1")
    assert see(desk, logged(db, db, rule_counter(desk.policy.rules[0]))).denial.rule == 0


def test_an_unknown_address_is_said_to_be_unknown(desk: Desk) -> None:
    seen = see(desk, logged(STRANGER, address(desk, "front-db-1")))
    assert seen.denial.client == End(None, str(STRANGER), str(STRANGER))
    assert seen.denial.decided_by == "unknown"
    assert f"no known endpoint: client {STRANGER}" in seen.sentence()


def test_in_audit_a_packet_is_never_said_to_be_dropped(desk: Desk) -> None:
    job, db = address(desk, "back-job-1"), address(desk, "front-db-1")
    for counter in (DENY, INVALID_DROP, IPV6_DROP, "rule-deny-abcdefgh"):
        seen = see(desk, logged(job, db, counter, audit=True))
        assert seen.denial.verdict == "audit"
        assert seen.sentence().startswith("let through by audit mode, else ")


@pytest.mark.parametrize("counter", sorted(FLOWLESS))
def test_a_packet_without_a_flow_is_told_as_it_is(desk: Desk, counter: str) -> None:
    job, db = address(desk, "back-job-1"), address(desk, "front-db-1")
    packet, flow = logged(db, job, counter), TrackedFlow(job, 1, db, 2, TCP, "established", answered=True)
    assert Observer().flowless(packet)
    seen = see(desk, packet, flow)
    assert (seen.denial.client.address, seen.denial.decided_by) == (str(db), counter.partition("-")[0])
    assert seen.sentence().startswith("dropped: ")


def test_ipv6_has_no_names(desk: Desk) -> None:
    ends = IPv6Address("fe80::1"), IPv6Address("fe80::2")
    packet = LoggedPacket(log_prefix(IPV6_DROP, audit=False), Header(*ends, ICMPV6), None)
    seen = see(desk, packet)
    assert (seen.denial.client, seen.denial.protocol) == (End(None, "fe80::1", "fe80::1"), "icmpv6")


def test_icmp_has_no_port(desk: Desk) -> None:
    ends = address(desk, "back-job-1"), address(desk, "front-db-1")
    seen = see(desk, LoggedPacket(log_prefix(DENY, audit=False), Header(*ends, ICMP, icmp=(8, 0, 1)), None))
    assert (seen.denial.protocol, seen.denial.port) == ("icmp", None)
    assert seen.sentence() == "denied by the default action: no rule matches"


@pytest.mark.parametrize("prefix", ["", "corral deny", "corral allow x", "corral deny rule-allow-abcdefgh", "someone"])
def test_what_no_denying_rule_of_ours_says_is_no_report(desk: Desk, prefix: str) -> None:
    scene = desk.scene()
    assert scene is not None
    packet = LoggedPacket(prefix, Header(STRANGER, STRANGER, TCP, 1, 2), None)
    assert Observer().see(packet, None, scene, {}) is None
    assert Observer().see(LoggedPacket(log_prefix(DENY, audit=False), None, None), None, scene, {}) is None


def test_looking_for_neighbours_is_no_denied_flow(desk: Desk) -> None:
    scene = desk.scene()
    assert scene is not None
    ends = IPv6Address("fe80::1"), IPv6Address("ff02::2")
    packet = LoggedPacket(log_prefix(IPV6_DROP, audit=False), Header(*ends, ICMPV6), None)
    assert Observer().see(packet, None, scene, {}) is None


def book_of(desk: Desk, times: list[float]) -> DeniedBook:
    book = DeniedBook()
    for now in times:
        book.note(see(desk, logged(STRANGER, address(desk, "front-db-1"))), now)
    return book


def test_a_flow_is_counted_from_first_to_last(desk: Desk) -> None:
    (entry,) = book_of(desk, [10.0, 11.5, 12.25]).latest()
    document = entry.document()
    check(DeniedFlow, document)
    assert (document["count"], document["first"], document["last"]) == (
        3,
        "1970-01-01T00:00:10.000Z",
        "1970-01-01T00:00:12.250Z",
    )


def test_once_answered_always_answered(desk: Desk) -> None:
    book, job, db = DeniedBook(), address(desk, "back-job-1"), address(desk, "front-db-1")
    for answered in (False, True, False):
        book.note(see(desk, logged(job, db), TrackedFlow(job, 1, db, 80, TCP, "x", answered)), 0.0)
    (entry,) = book.latest()
    assert (entry.answered, entry.count) == (True, 3)


def test_an_address_that_another_takes_over_does_not_rename_history(desk: Desk) -> None:
    book, scene = DeniedBook(), desk.scene()
    assert scene is not None
    job, db = address(desk, "back-job-1"), address(desk, "front-db-1")
    containers = dict(desk.inventory.containers)
    for name in ("back-job-1", "back-job-2"):
        (uuid,) = scene.endpoints[job].containers
        containers[uuid] = replace(containers[uuid], name=name)
        seen = Observer().see(logged(job, db), None, scene, containers)
        assert seen is not None
        book.note(seen, 0.0)
    assert [entry.denial.client.name for entry in book.latest()] == ["back/job/back-job-2", "back/job/back-job-1"]


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 6))
def test_the_flows_seen_longest_ago_are_forgotten(ports: list[int], most: int) -> None:
    desk = desk_of(small_environment())
    book, observer = DeniedBook(most), Observer()
    recent: list[int] = []
    for now, port in enumerate(ports):
        book.note(see(desk, logged(STRANGER, STRANGER, port=port), observer=observer), float(now))
        recent = [port, *(other for other in recent if other != port)][:most]
    assert [entry.denial.port for entry in book.latest()] == recent
    assert len(book) == len(recent)


def test_each_listener_is_told_once_in_a_while_of_all_since(desk: Desk) -> None:
    book, told = DeniedBook(), []
    for now in (0.0, 1.0, 59.0, 60.0, 61.0, 3.0):
        entry = book.note(see(desk, logged(STRANGER, STRANGER)), now)
        told.append((entry.due("log", 60.0), entry.due("events", 1.0)))
    # The clock was set back before the last: that must not silence anyone.
    assert told == [(1, 1), (0, 1), (0, 1), (3, 1), (0, 1), (2, 1)]
