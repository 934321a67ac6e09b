from __future__ import annotations

from corral.nft.values import NftMap, NftSet, SetType
from corral.policy.rules import Policy
from corral.policy.scratch import compile_ruleset

from .scenes import BETWEEN_DEPARTMENTS, BRIDGE, SEED, SUBNETS, address, by_address, endpoint, policy, service_of


def test_an_empty_environment_has_the_fixed_objects_only() -> None:
    ruleset = compile_ruleset(Policy(), SUBNETS, BRIDGE, {}, unknown_allowed=False)
    assert set(ruleset.chains) == {"default-action", "forward", "denied/invalid-drop"}
    assert ruleset.elements == {"subnets": set(SUBNETS), "system": set(), "local": set(), "denied-clients": set()}
    assert ruleset.sets["subnets"].type is SetType.SUBNETS
    assert ruleset.maps == {"dispatch": NftMap("dispatch", ruleset.maps["dispatch"].comment)}
    assert ruleset.verdicts == {"dispatch": {}}
    assert ruleset.counters == {"default-allow", "invalid-drop"}


def test_the_seeds_third_example_has_a_set_for_each_department_and_a_chain_for_each_kind_of_server() -> None:
    ruleset = compile_ruleset(policy(BETWEEN_DEPARTMENTS), SUBNETS, BRIDGE, SEED, unknown_allowed=False)
    groups = {name: ruleset.elements[name] for name in ruleset.sets if "/" in name}
    assert groups == {
        f"label/com.rancher.department/{department}": {
            one.address for one in SEED.values() if one.labels[0].get("com.rancher.department") == department
        }
        for department in ("qa", "engineering")
    }
    servers = {service_of(SEED[key]): verdict.chain for key, verdict in ruleset.verdicts["dispatch"].items()}
    assert len(servers) == 7
    assert servers["stack_one/service_one"] == servers["stack_two/service_one"]
    assert servers["stack_one/service_three"] == servers["stack_three/service_two"]
    assert len(set(servers.values())) == 3


def test_only_local_application_endpoints_have_a_chain_and_all_others_are_unjudged() -> None:
    endpoints = by_address(endpoint(2), endpoint(3, local=False), endpoint(4, system=True))
    ruleset = compile_ruleset(policy(), SUBNETS, BRIDGE, endpoints, unknown_allowed=False)
    assert set(ruleset.verdicts["dispatch"]) == ruleset.elements["local"] == {address(2)}
    assert ruleset.elements["system"] == {address(4)}
    assert ruleset.elements["unjudged"] == {address(3), address(4)}
    comment = "system endpoints, and those that other hosts judge"
    assert ruleset.sets["unjudged"] == NftSet("unjudged", comment=comment)
