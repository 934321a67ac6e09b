"""What each change costs, and what it leaves alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from corral.model.endpoint import Endpoint
from corral.nft.text import render_rule
from corral.nft.tracker import Tracker
from corral.nft.transaction import (
    AddChain,
    AddCounter,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    AddVerdicts,
    DeleteElements,
    DeleteTable,
    DeleteVerdicts,
    FlushChain,
    Operation,
)
from corral.nft.values import Ruleset
from corral.policy.compiler import Compiler
from corral.policy.enforcement import DENIED_CLIENTS, Enforcement
from corral.policy.render import rule_counter
from corral.policy.rules import Policy
from corral.policy.scratch import compile_ruleset
from corral.types import Address

from .scenes import BETWEEN_DEPARTMENTS, BRIDGE, SEED, SUBNETS, WITHIN_STACK, address, by_address, endpoint, policy

PORT_RULE = {
    "from": {"selector": "role=web"},
    "to": {"selector": "role=db"},
    "ports": ["5432/tcp"],
    "action": "allow",
}


FIXED_CHAINS = {"default-action", "forward", "denied/default-deny", "denied/invalid-drop", "denied/ipv6-drop"}
MOVED = {DeleteVerdicts: 1, AddVerdicts: 1}


class Agent:
    """A compiler and its tracker, with everything committed so far."""

    def __init__(self, judged_by: Policy, *endpoints: Endpoint, unknown_allowed: bool = False) -> None:
        self.tracker = Tracker()
        self.tracker.adopt(None)
        self.compiler = Compiler(self.tracker, unknown_allowed=unknown_allowed)
        self.compiler.set_policy(judged_by)
        self.compiler.set_boundary(SUBNETS, BRIDGE)
        self.compiler.update(by_address(*endpoints))
        self.commit()

    def set_enforcement(self, enforcement: Enforcement) -> tuple[Operation, ...]:
        self.compiler.set_enforcement(enforcement)
        return self.commit()

    def commit(self) -> tuple[Operation, ...]:
        transaction = self.tracker.pending()
        self.tracker.committed(transaction)
        while garbage := self.tracker.garbage():
            self.tracker.committed(garbage)
        return transaction.operations

    def update(self, *endpoints: Endpoint) -> tuple[Operation, ...]:
        self.compiler.update(by_address(*endpoints))
        return self.commit()

    def remove(self, *numbers: int) -> tuple[Operation, ...]:
        self.compiler.update({address(number): None for number in numbers})
        return self.commit()

    def set_policy(self, judged_by: Policy) -> tuple[Operation, ...]:
        self.compiler.set_policy(judged_by)
        return self.commit()


def elements(operations: tuple[Operation, ...], kind: type[AddElements] | type[DeleteElements]) -> set[str]:
    """The sets that get or lose one element each; nothing else may happen."""
    assert all(isinstance(operation, kind) and len(operation.elements) == 1 for operation in operations)
    return {operation.set for operation in operations if isinstance(operation, AddElements | DeleteElements)}


def kinds(operations: tuple[Operation, ...]) -> Counter[type[Operation]]:
    return Counter(map(type, operations))


def test_a_remote_container_of_known_groups_is_one_element_in_each_of_their_sets() -> None:
    rules = (WITHIN_STACK, {"between": {"groupBy": "dept"}, "action": "allow"})
    agent = Agent(policy(*rules), endpoint(2, "front/web", labels={"dept": "qa"}))
    newcomer = endpoint(3, "front/web", local=False, labels={"dept": "qa"})
    assert elements(agent.update(newcomer), AddElements) == {"unjudged", "stack/front", "label/dept/qa"}
    assert elements(agent.remove(3), DeleteElements) == {"unjudged", "stack/front", "label/dept/qa"}


def test_a_remote_container_that_no_local_chain_asks_for_is_known_and_no_more() -> None:
    agent = Agent(policy(WITHIN_STACK), endpoint(2, "front/web"))
    assert elements(agent.update(endpoint(3, "back/api", local=False)), AddElements) == {"unjudged"}


def test_with_a_default_of_allow_it_costs_nothing_at_all() -> None:
    agent = Agent(policy(WITHIN_STACK, default="allow"), endpoint(2, "front/web"))
    assert agent.update(endpoint(3, "back/api", local=False)) == ()
    assert "unjudged" not in agent.tracker.desired_ruleset().sets


def test_a_first_local_member_finds_its_set_complete() -> None:
    remote = [endpoint(number, "front/web", local=False) for number in range(10, 15)]
    agent = Agent(policy(WITHIN_STACK), *remote)
    assert "stack/front" not in agent.tracker.desired_ruleset().sets
    agent.update(endpoint(2, "front/web"))
    members = agent.tracker.desired_ruleset().elements["stack/front"]
    assert members == {address(2), *(one.address for one in remote)}


def test_a_set_stays_while_another_chain_looks_it_up() -> None:
    agent = Agent(policy(WITHIN_STACK, PORT_RULE), endpoint(2, "one/web"), endpoint(3, "one/db", labels={"role": "db"}))
    agent.remove(3)
    assert "stack/one" in agent.tracker.desired_ruleset().sets
    agent.update(endpoint(4, "one/web", local=False))
    assert agent.tracker.desired_ruleset().elements["stack/one"] == {address(2), address(4)}
    agent.remove(2)
    assert "stack/one" not in agent.tracker.desired_ruleset().sets


def test_another_action_moves_no_element() -> None:
    agent = Agent(policy(WITHIN_STACK), endpoint(2, "one/web"), endpoint(3, "one/db"), endpoint(4, "two/web"))
    operations = agent.set_policy(policy({**WITHIN_STACK, "action": "deny"}))
    assert kinds(operations) == {AddCounter: 1, AddChain: 3, AddRule: 6, DeleteVerdicts: 1, AddVerdicts: 1}


def test_a_second_local_container_shares_the_chain_of_the_first() -> None:
    agent = Agent(policy(WITHIN_STACK), endpoint(2, "front/web"))
    operations = agent.update(endpoint(3, "front/db"))
    assert kinds(operations) == {AddElements: 2, AddVerdicts: 1}
    verdicts = agent.tracker.desired_ruleset().verdicts["dispatch"]
    assert verdicts[address(2)] == verdicts[address(3)]


def test_the_last_local_member_takes_chain_and_set_along() -> None:
    agent = Agent(policy(WITHIN_STACK), endpoint(2, "front/web"), endpoint(3, "front/web", local=False))
    operations = agent.remove(2)
    assert kinds(operations) == {DeleteElements: 1, DeleteVerdicts: 1}
    assert set(agent.tracker.programmed_ruleset().chains) == FIXED_CHAINS
    assert set(agent.tracker.programmed_ruleset().sets) == {"subnets", "system", "local", "unjudged", "denied-clients"}


@pytest.mark.parametrize("again", ["update", "policy", "boundary"])
def test_what_is_told_twice_costs_nothing(again: str) -> None:
    judged_by = policy(WITHIN_STACK, PORT_RULE)
    agent = Agent(judged_by, *SEED.values())
    match again:
        case "update":
            agent.compiler.update(dict(SEED))
        case "policy":
            agent.compiler.set_policy(policy(WITHIN_STACK, PORT_RULE))
        case _:
            agent.compiler.set_boundary(SUBNETS, BRIDGE)
    assert agent.commit() == ()


def test_removing_what_was_never_there_costs_nothing() -> None:
    assert Agent(policy()).remove(77) == ()


def test_a_label_change_moves_one_remote_address_between_two_sets() -> None:
    rule = {"between": {"groupBy": "dept"}, "action": "allow"}
    qa, engineering = (endpoint(number, labels={"dept": dept}) for number, dept in ((2, "qa"), (3, "eng")))
    mover = endpoint(4, local=False, labels={"dept": "qa"})
    agent = Agent(policy(rule), qa, engineering, mover)
    operations = agent.update(replace(mover, labels=({"dept": "eng"},)))
    assert {(type(operation), getattr(operation, "set", "")) for operation in operations} == {
        (DeleteElements, "label/dept/qa"),
        (AddElements, "label/dept/eng"),
    }


def test_a_rule_at_the_end_leaves_chains_alone_that_it_does_not_concern() -> None:
    web = endpoint(2, "front/web", labels={"role": "web"})
    db = endpoint(3, "front/db", labels={"role": "db"})
    agent = Agent(policy(WITHIN_STACK), web, db)
    before = agent.tracker.desired_ruleset()
    operations = agent.set_policy(policy(WITHIN_STACK, PORT_RULE))
    after = agent.tracker.desired_ruleset()
    assert before.verdicts["dispatch"][web.address] == after.verdicts["dispatch"][web.address]
    assert before.verdicts["dispatch"][db.address] != after.verdicts["dispatch"][db.address]
    assert kinds(operations)[AddChain] == kinds(operations)[AddCounter] == 1
    assert kinds(operations)[AddRule] == 3
    assert kinds(operations)[AddVerdicts] == kinds(operations)[DeleteVerdicts] == 1


def test_a_rule_put_first_leaves_chains_that_it_does_not_concern_and_all_counts_alone() -> None:
    one, other = endpoint(2, "front/web", labels={"role": "web"}), endpoint(3, "front/db", labels={"role": "db"})
    agent = Agent(policy(WITHIN_STACK), one, other)
    first = {"from": {"selector": "role=db"}, "to": {"selector": "role=web"}, "action": "deny"}
    assert kinds(agent.set_policy(policy(first, WITHIN_STACK))) == {
        AddCounter: 1,
        AddSet: 1,
        AddElements: 1,
        AddChain: 2,
        AddRule: 5,
        DeleteVerdicts: 1,
        AddVerdicts: 1,
    }


def test_rules_the_other_way_round_change_the_chains_that_both_concern_and_no_element() -> None:
    one, other = endpoint(2, "front/web", labels={"role": "web"}), endpoint(3, "front/db", labels={"role": "db"})
    agent = Agent(policy(WITHIN_STACK, PORT_RULE), one, other)
    operations = agent.set_policy(policy({**PORT_RULE, "ports": [], "action": "deny"}, WITHIN_STACK))
    assert kinds(operations) == {AddCounter: 1, AddChain: 2, AddRule: 5, DeleteVerdicts: 1, AddVerdicts: 1}


def test_servers_that_part_under_one_policy_meet_again_under_another() -> None:
    one, other = endpoint(2, "front/web", labels={"role": "web"}), endpoint(3, "front/db", labels={"role": "db"})
    agent = Agent(policy(WITHIN_STACK), one, other)
    apart = agent.set_policy(policy(WITHIN_STACK, PORT_RULE))
    again = agent.set_policy(policy(WITHIN_STACK))
    assert kinds(apart) == {AddCounter: 1, AddSet: 1, AddElements: 1, AddChain: 1, AddRule: 3} | MOVED
    assert kinds(again) == MOVED
    assert len(agent.compiler._servers) == 1
    agent.remove(2, 3)
    assert set(agent.tracker.programmed_ruleset().chains) == FIXED_CHAINS


@pytest.mark.parametrize("end", ["from", "to"])
def test_another_selector_at_either_end_is_asked_anew(end: str) -> None:
    agent = Agent(policy(PORT_RULE), endpoint(2, labels={"role": "web"}), endpoint(3, labels={"role": "db"}))
    judged_by = policy({**PORT_RULE, end: {"selector": "role in (web, db)"}})
    agent.set_policy(judged_by)
    assert agent.tracker.programmed_ruleset() == compile_ruleset(
        judged_by, SUBNETS, BRIDGE, agent.compiler.endpoints, unknown_allowed=False
    )


def test_a_new_default_replaces_every_chain_in_one_transaction() -> None:
    agent = Agent(policy(BETWEEN_DEPARTMENTS), *SEED.values())
    agent.set_policy(policy(BETWEEN_DEPARTMENTS, default="allow"))
    ruleset = agent.tracker.programmed_ruleset()
    assert ruleset == compile_ruleset(
        policy(BETWEEN_DEPARTMENTS, default="allow"), SUBNETS, BRIDGE, SEED, unknown_allowed=False
    )
    assert "default-deny" not in ruleset.counters


def test_policies_back_and_forth_end_where_they_began() -> None:
    agent = Agent(policy(WITHIN_STACK), *SEED.values())
    before = agent.tracker.programmed_ruleset()
    agent.set_policy(policy(BETWEEN_DEPARTMENTS))
    agent.set_policy(policy(WITHIN_STACK))
    assert agent.tracker.programmed_ruleset() == before


def test_a_link_adds_the_client_to_the_set_of_the_servers_service() -> None:
    rule = {"within": "linked", "action": "allow"}
    agent = Agent(policy(rule), endpoint(2, "back/api"), endpoint(3, "front/web", local=False))
    operations = agent.update(endpoint(3, "front/web", local=False, links_to="back/api"))
    assert operations == (
        AddElements("linked/back/api", agent.tracker.desired_ruleset().sets["linked/back/api"], (address(3),)),
    )


def test_an_endpoint_that_turns_system_leaves_its_groups_and_its_chain() -> None:
    one = endpoint(2, "front/web")
    agent = Agent(policy(WITHIN_STACK), one, endpoint(3, "front/web"))
    operations = agent.update(replace(one, system=True))
    assert kinds(operations) == {AddElements: 2, DeleteElements: 2, DeleteVerdicts: 1}
    assert agent.tracker.desired_ruleset().elements["system"] == {one.address}


def test_new_subnets_change_their_set_only() -> None:
    agent = Agent(policy(WITHIN_STACK), *SEED.values())
    agent.compiler.set_boundary((*SUBNETS, type(SUBNETS[0]).parse("10.43.0.0/16")), BRIDGE)
    assert elements(agent.commit(), AddElements) == {"subnets"}


def test_nothing_is_wanted_before_policy_and_boundary_are_known() -> None:
    tracker = Tracker()
    tracker.adopt(Agent(policy()).tracker.programmed_ruleset())
    compiler = Compiler(tracker, unknown_allowed=False)
    compiler.update(SEED)
    compiler.set_policy(policy())
    assert not tracker.pending()
    compiler.set_boundary(SUBNETS, BRIDGE)
    assert tracker.pending()


def test_without_a_network_the_table_goes_and_it_comes_back_complete() -> None:
    agent = Agent(policy(WITHIN_STACK), *SEED.values())
    before = agent.tracker.programmed_ruleset()
    agent.compiler.clear()
    assert agent.commit() == (AddTable(), DeleteTable())
    assert agent.tracker.programmed_ruleset() == Ruleset()
    agent.remove(10)
    agent.update(SEED[address(10)])
    agent.compiler.set_boundary(SUBNETS, BRIDGE)
    agent.commit()
    assert agent.tracker.programmed_ruleset() == before


DENY_RULES = [{**rule, "action": "deny"} for rule in (PORT_RULE, WITHIN_STACK)]
DENIED_CHAINS = len(DENY_RULES) + 3  # the default, invalid packets, IPv6
AUDIT, SILENT = Enforcement(audit=True), Enforcement(log=False)


@pytest.mark.parametrize("size", [0, 5, 5000])
def test_audit_on_and_off_rewrites_the_chains_for_what_is_denied_and_nothing_else(size: int) -> None:
    everybody = [
        replace(endpoint(2, f"stack{number % 50}/web", local=number % 7 == 0), address=Address(number + 2**24))
        for number in range(size)
    ]
    agent = Agent(policy(*DENY_RULES, PORT_RULE), *everybody)
    before = agent.tracker.programmed_ruleset()
    rewritten = {FlushChain: DENIED_CHAINS, AddRule: 2 * DENIED_CHAINS}
    assert kinds(agent.set_enforcement(AUDIT)) == rewritten
    assert kinds(agent.set_enforcement(Enforcement())) == rewritten
    assert agent.tracker.programmed_ruleset() == before


def test_a_restart_in_another_mode_finds_all_else_as_it_is() -> None:
    agent = Agent(policy(*DENY_RULES), *SEED.values())
    tracker = Tracker()
    tracker.adopt(agent.tracker.programmed_ruleset())
    compiler = Compiler(tracker, unknown_allowed=False, enforcement=AUDIT)
    compiler.update(SEED)
    compiler.set_boundary(SUBNETS, BRIDGE)
    compiler.set_policy(policy(*DENY_RULES))
    transaction = tracker.pending()
    assert kinds(transaction.operations) == {FlushChain: DENIED_CHAINS, AddRule: 2 * DENIED_CHAINS}
    tracker.committed(transaction)
    assert not tracker.garbage()


def test_a_kernel_that_can_not_log_is_asked_for_nothing_of_it() -> None:
    agent = Agent(policy(*DENY_RULES), *SEED.values())
    assert kinds(agent.set_enforcement(SILENT)) == {FlushChain: DENIED_CHAINS, AddRule: DENIED_CHAINS}
    ruleset = agent.tracker.programmed_ruleset()
    assert DENIED_CLIENTS.name not in ruleset.sets
    assert not [rule for chain in ruleset.chains.values() for rule in chain.rules if "log" in render_rule(rule)]
    logging = agent.set_enforcement(Enforcement())
    assert kinds(logging) == {AddSet: 1, FlushChain: DENIED_CHAINS, AddRule: 2 * DENIED_CHAINS}


def test_enforcement_before_there_is_a_ruleset_is_remembered() -> None:
    tracker = Tracker()
    compiler = Compiler(tracker, unknown_allowed=False)
    compiler.set_enforcement(AUDIT)
    compiler.set_policy(policy())
    compiler.set_boundary(SUBNETS, BRIDGE)
    assert tracker.desired_ruleset() == compile_ruleset(
        policy(), SUBNETS, BRIDGE, {}, unknown_allowed=False, enforcement=AUDIT
    )
    compiler.clear()
    compiler.set_enforcement(SILENT)
    assert tracker.desired_ruleset() == Ruleset()


def test_a_rule_that_goes_takes_its_chain_for_what_is_denied_along() -> None:
    agent = Agent(policy(*DENY_RULES), *SEED.values())
    agent.set_policy(policy(DENY_RULES[0], default="allow"))
    denied = {name for name in agent.tracker.programmed_ruleset().chains if name.startswith("denied/")}
    assert denied == {f"denied/{rule_counter(policy(DENY_RULES[0]).rules[0])}", "denied/invalid-drop"}


def test_chains_that_are_gone_are_not_remembered() -> None:
    agent = Agent(policy(WITHIN_STACK))
    for number in range(50):
        agent.update(endpoint(2, f"stack{number}/web"))
    assert len(agent.compiler._servers) == len(agent.compiler._servers_of) == 1
    assert len(agent.compiler._blocks) == 1 + len(FIXED_CHAINS)
