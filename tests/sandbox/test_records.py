from __future__ import annotations

from corral.sandbox.environment import Environment


def test_a_copy_does_not_follow() -> None:
    environment = Environment()
    copy = environment.records.copy()
    environment.add_stack("late")
    environment.set_policy([], "deny")
    assert "late" not in {stack.name for stack in copy.stacks.values()}
    assert copy.networks[environment.network.id].default_policy_action is None
    assert environment.records.copy() == environment.records


def test_a_path_names_stack_and_service() -> None:
    environment = Environment()
    environment.add_stack("Shop")
    service = environment.add_service("Shop/Web")
    assert environment.records.path(service) == "Shop/Web"
