"""The seed document's third example: its stacks, its labels, its policy."""

from __future__ import annotations

from collections.abc import Mapping

from corral.sandbox.environment import Environment
from corral.sandbox.scenarios import BY_DEPARTMENT, DEPARTMENT, LOCATION

SERVICES: Mapping[str, Mapping[str, str]] = {
    "stack_one/service_one": {DEPARTMENT: "qa"},
    "stack_one/service_two": {DEPARTMENT: "engineering"},
    "stack_one/service_three": {LOCATION: "cupertino"},
    "stack_two/service_one": {DEPARTMENT: "qa"},
    "stack_two/service_two": {LOCATION: "cupertino"},
    "stack_three/service_one": {DEPARTMENT: "engineering"},
    "stack_three/service_two": {LOCATION: "phoenix"},
}

# Of one department, of another one, and of none.
QA, OTHER_QA = "stack_one-service_one-1", "stack_two-service_one-1"
ENGINEERING, NOBODY = "stack_one-service_two-1", "stack_two-service_two-1"


def describe(environment: Environment) -> None:
    """Stacks and services, still without containers, and the policy."""
    for path, labels in SERVICES.items():
        stack, _, name = path.partition("/")
        if name == "service_one":
            environment.add_stack(stack)
        environment.add_service(path, labels=labels)
    environment.set_policy([BY_DEPARTMENT], "deny")
