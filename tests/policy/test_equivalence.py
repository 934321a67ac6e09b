"""Incremental = from scratch = the reference verdict, for random environments, policies and changes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from corral.model.endpoint import Endpoint
from corral.nft.trace import Outcome, Packet, follow
from corral.nft.tracker import Tracker
from corral.nft.transaction import Transaction
from corral.nft.values import Ruleset, Verb
from corral.policy.compiler import Compiler
from corral.policy.enforcement import ENFORCE, Enforcement, log_prefix
from corral.policy.render import default_counter, rule_counter
from corral.policy.rules import Form, FromTo, Policy, Rule
from corral.policy.scratch import compile_ruleset
from corral.policy.verdict import Decider, Judgement, Scene, judge
from corral.types import Action, Address, Flow

from ..nft.kernel import StrictKernel
from .strategies import (
    BRIDGE,
    EXAMPLES,
    SUBNETS,
    Clear,
    Container,
    Edit,
    Environment,
    Put,
    SetBoundary,
    SetEnforcement,
    SetPolicy,
    difference,
    edits,
    endpoints_of,
    enforcements,
    flows,
    policies,
    rules,
    worlds,
)


def packets(flow: Flow) -> tuple[Packet, Packet]:
    """The first packet of a flow, and an answer on it."""
    there = Packet(
        source=flow.client,
        destination=flow.server,
        client=flow.client,
        server=flow.server,
        protocol=flow.protocol,
        server_port=flow.port,
    )
    return there, replace(there, source=flow.server, destination=flow.client, state="established")


def enforced(scene: Scene, flow: Flow) -> Verb:
    """The verdict that this host has to give: flows with a remote server are its host's to judge."""
    server = scene.endpoints.get(flow.server)
    action = judge(scene, flow).action
    if action is not Action.DENY or (server is not None and not server.local):
        return Verb.ACCEPT
    return Verb.DROP


def expected_counter(policy: Policy, judgement: Judgement) -> str:
    return default_counter(policy.default) if judgement.rule is None else rule_counter(policy.rules[judgement.rule])


def check_flow(ruleset: Ruleset, scene: Scene, flow: Flow, enforcement: Enforcement = ENFORCE) -> None:
    outcomes: list[Outcome] = [follow(ruleset, packet) for packet in packets(flow)]
    denied = enforced(scene, flow) is Verb.DROP
    verdict = Verb.DROP if denied and not enforcement.audit else Verb.ACCEPT
    assert [outcome.verdict for outcome in outcomes] == [verdict] * 2, (flow, judge(scene, flow))
    server = scene.endpoints.get(flow.server)
    judgement = judge(scene, flow)
    for outcome in outcomes:
        prefixes = tuple(log_prefix(counter, audit=enforcement.audit) for counter in outcome.counters)
        assert outcome.logged == (prefixes if denied and enforcement.log else ())
        assert outcome.counters or not denied
    if server and server.local and judgement.decided_by in (Decider.RULE, Decider.DEFAULT):
        assert outcomes[0].counters == (expected_counter(scene.policy, judgement),)


def check_all_flows(ruleset: Ruleset, scene: Scene, enforcement: Enforcement = ENFORCE) -> None:
    for flow in flows():
        check_flow(ruleset, scene, flow, enforcement)


@settings(max_examples=EXAMPLES)
@given(worlds, policies, st.booleans(), enforcements)
def test_the_ruleset_gives_the_reference_verdict(
    world: dict[str, Container], policy: Policy, unknown_allowed: bool, enforcement: Enforcement
) -> None:
    """In audit what is denied passes, and is counted and told of all the same."""
    scene = Scene(policy, SUBNETS, endpoints_of(world), unknown_allowed)
    ruleset = compile_ruleset(
        policy, SUBNETS, BRIDGE, scene.endpoints, unknown_allowed=unknown_allowed, enforcement=enforcement
    )
    check_all_flows(ruleset, scene, enforcement)


class Run:
    """A compiler that follows an environment, and a kernel that follows the compiler."""

    def __init__(self, *, unknown_allowed: bool) -> None:
        self.environment = Environment()
        self.told: dict[Address, Endpoint] = {}
        self.tracker = Tracker()
        self.tracker.adopt(None)
        self.compiler = Compiler(self.tracker, unknown_allowed=unknown_allowed)
        self.unknown_allowed = unknown_allowed
        self.kernel = StrictKernel()
        self.in_flight = Transaction()

    def edit(self, *edits: Edit) -> None:
        """Several edits may come while one transaction is in flight."""
        for edit in edits:
            self._tell(edit)
        self.tracker.committed(self.in_flight)
        self.in_flight = Transaction()

    def _tell(self, edit: Edit) -> None:
        self.environment.edit(edit)
        match edit:
            case SetPolicy(policy):
                self.compiler.set_policy(policy)
            case SetBoundary(boundary):
                self.compiler.set_boundary(*boundary)
            case SetEnforcement(enforcement):
                self.compiler.set_enforcement(enforcement)
            case Clear():
                self.compiler.clear()
            case _:
                now = self.environment.endpoints
                self.compiler.update(difference(self.told, now))
                self.told = now

    def expected(self) -> Ruleset:
        policy, boundary = self.environment.policy, self.environment.boundary
        if policy is None or boundary is None:
            return Ruleset()
        return compile_ruleset(
            policy,
            *boundary,
            self.environment.endpoints,
            unknown_allowed=self.unknown_allowed,
            enforcement=self.environment.enforcement,
        )

    def commit(self) -> None:
        transaction = self.tracker.pending()
        self.kernel.commit(transaction)
        self.tracker.committed(transaction)
        assert not self.tracker.pending()

    def send(self, transaction: Transaction) -> None:
        """Commit, but learn of the success only after the next edit."""
        self.kernel.commit(transaction)
        self.in_flight = transaction

    def collect(self) -> None:
        while garbage := self.tracker.garbage():
            self.kernel.commit(garbage)
            self.tracker.committed(garbage)

    def restart(self) -> None:
        """A new process finds the table, and is told everything anew."""
        policy, boundary = self.environment.policy, self.environment.boundary
        self.tracker = Tracker()
        self.tracker.adopt(self.kernel.dump())
        enforcement = self.environment.enforcement
        self.compiler = Compiler(self.tracker, unknown_allowed=self.unknown_allowed, enforcement=enforcement)
        self.compiler.update(dict(self.told))
        if policy is not None:
            self.compiler.set_policy(policy)
        if boundary is not None:
            self.compiler.set_boundary(*boundary)


PICKS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(Action), st.booleans()), max_size=5)


@settings(max_examples=EXAMPLES)
@given(worlds, st.lists(rules, min_size=4, max_size=4), st.lists(PICKS, min_size=2, max_size=6))
def test_policies_with_rules_in_common_follow_one_another(
    world: dict[str, Container], pool: list[Rule], picked: list[list[tuple[int, Action, bool]]]
) -> None:
    """Rules move, go, come back, change their action or lose their ports: much of what is known stays of use."""
    run = Run(unknown_allowed=False)
    run.edit(SetBoundary((SUBNETS, BRIDGE)), *(Put(name, container) for name, container in world.items()))
    for picks in picked:
        chosen = [
            Rule(without_ports(pool[which].form) if bare else pool[which].form, action) for which, action, bare in picks
        ]
        run.edit(SetPolicy(Policy(tuple(chosen), Action.DENY, default_is_set=True)))
        assert run.tracker.desired_ruleset() == run.expected()
        run.commit()
    run.collect()
    assert run.kernel.dump() == run.expected()


def without_ports(form: Form) -> Form:
    return replace(form, ports=()) if isinstance(form, FromTo) else form


AFTER = ("wait", "commit", "commit", "collect", "send", "send garbage", "restart")
STEPS = st.lists(st.tuples(st.lists(edits, min_size=1, max_size=3), st.sampled_from(AFTER)), min_size=4, max_size=14)


@settings(max_examples=EXAMPLES)
@given(policies, STEPS, st.booleans())
def test_incremental_is_from_scratch_after_every_change(
    policy: Policy, steps: list[tuple[list[Edit], str]], unknown_allowed: bool
) -> None:
    run = Run(unknown_allowed=unknown_allowed)
    run.edit(SetPolicy(policy))
    run.edit(SetBoundary((SUBNETS, BRIDGE)))
    for together, after in steps:
        run.edit(*together)
        assert run.tracker.desired_ruleset() == run.expected()
        act(run, after)
    run.tracker.committed(run.in_flight)
    run.commit()
    run.collect()
    assert (run.kernel.dump() or Ruleset()) == run.expected() == run.tracker.programmed_ruleset()
    if run.environment.policy and run.environment.boundary:
        subnets, _ = run.environment.boundary
        scene = Scene(run.environment.policy, subnets, run.environment.endpoints, unknown_allowed)
        check_all_flows(run.expected(), scene, run.environment.enforcement)


def act(run: Run, after: str) -> None:
    match after:
        case "wait":
            pass
        case "commit":
            run.commit()
        case "collect":
            run.commit()
            run.collect()
            assert (run.kernel.dump() or Ruleset()) == run.expected()
        case "send":
            run.send(run.tracker.pending())
        case "send garbage":
            run.commit()
            run.send(run.tracker.garbage())
        case "restart":
            run.commit()
            run.restart()
            assert not run.tracker.pending()
            assert run.tracker.desired_ruleset() == run.expected()
        case _:
            raise ValueError(after)
