"""Records as the metadata service shows them: the root document of one host, for one API date."""

from __future__ import annotations

import json
from typing import Any

from corral.model.entities import PortRule
from corral.sandbox.records import (
    ContainerRecord,
    HostRecord,
    NetworkRecord,
    Records,
    ServiceRecord,
    Sidekick,
    StackRecord,
)

Json = dict[str, Any]

NEWEST = "2016-07-29"
DATES = ("2015-07-25", "2015-12-19", NEWEST, "latest")
# Rancher's metadata leaves these out, and nothing else: a stopped container is listed with its address.
UNLISTED_STATES = frozenset({"removed", "purging", "purged", "error", "erroring"})
# Every form that a rule may have: Rancher spells out those that a rule does not use, as nulls.
RULE_FIELDS = ("action", "between", "from", "ports", "to", "within")


def render_root(records: Records, host: HostRecord, date: str = NEWEST) -> Json:
    """Everything, as a caller on the host's own network gets it: `self` holds only the host."""
    writer = _Writer(records, lower=date in {NEWEST, "latest"}, nested=date != "2015-07-25")
    return {
        "containers": [writer.container(each) for each in writer.listed],
        "services": [document for each in records.services.values() for document in writer.services(each)],
        "stacks": [writer.stack(each) for each in records.stacks.values()],
        "hosts": [writer.host(each) for each in records.hosts.values()],
        "networks": [writer.network(each) for each in records.networks.values()],
        "environments": [],
        "self": {"host": writer.host(host)},
    }


class _Writer:
    """`lower`: names in lower case. `nested`: a service's containers as whole objects, else their names."""

    def __init__(self, records: Records, *, lower: bool, nested: bool) -> None:
        self._records = records
        self._lower = lower
        self._nested = nested
        self.listed = [each for each in records.containers.values() if each.state not in UNLISTED_STATES]

    def host(self, host: HostRecord) -> Json:
        return {
            "uuid": host.uuid,
            "name": host.name,
            "hostname": host.name,
            "agent_ip": host.agent_ip,
            "agent_state": "active",
            "state": host.state,
            "labels": dict(host.labels),
            "environment_uuid": self._records.uuid,
            "metadata_kind": "host",
        }

    def stack(self, stack: StackRecord) -> Json:
        services = [each for each in self._records.services.values() if each.stack == stack.id]
        return {
            "uuid": stack.uuid,
            "name": self._name(stack.name),
            "system": stack.system,
            "environment_uuid": self._records.uuid,
            "environment_name": self._records.name,
            "services": [document for each in services for document in self.services(each)]
            if self._nested
            else [each.name for each in services],
            "metadata_kind": "stack",
        }

    def services(self, service: ServiceRecord) -> list[Json]:
        """One document for the service and one for each sidekick, which has the uuid of its primary."""
        return [self._service(service, None), *(self._service(service, each) for each in service.sidekicks)]

    def container(self, container: ContainerRecord) -> Json:
        records = self._records
        stack = records.stacks[container.stack] if container.stack else None
        service = records.services[container.service] if container.service else None
        shared = records.containers.get(container.network_from or "")
        return {
            "uuid": container.uuid,
            "name": self._name(container.name),
            "primary_ip": container.address,
            "ips": [container.address] if container.address else [],
            "primary_mac_address": None,
            "network_uuid": records.networks[container.network].uuid,
            "network_from_container_uuid": shared.uuid if shared else None,
            "host_uuid": records.hosts[container.host].uuid,
            "state": container.state,
            "health_state": container.health,
            "labels": dict(container.labels),
            "system": container.system,
            "stack_uuid": stack.uuid if stack else None,
            "stack_name": self._name(stack.name) if stack else None,
            "service_uuid": service.uuid if service else None,
            "service_name": self._name(container.launch or service.name) if service else None,
            "links": {
                alias: records.containers[target].uuid
                for alias, target in container.links.items()
                if target in records.containers
            },
            "ports": list(container.ports),
            "start_count": container.start_count,
            "create_index": container.create_index,
            "environment_uuid": records.uuid,
            "external_id": container.external_id,
            "metadata_kind": "container",
        }

    def network(self, network: NetworkRecord) -> Json:
        managed = network.cni is not None
        return {
            "uuid": network.uuid,
            "name": network.name,
            "environment_uuid": self._records.uuid,
            # The wrong way round, as Rancher 1.6 fills them: the managed network is the default one.
            "is_default": not managed,
            "host_ports": managed,
            "metadata": {"cniConfig": {"10-rancher.conf": dict(network.cni)}} if network.cni else {},
            "policy": _policy(network.policy),
            "default_policy_action": network.default_policy_action,
            "metadata_kind": "network",
        }

    def _service(self, service: ServiceRecord, sidekick: Sidekick | None) -> Json:
        records = self._records
        stack = records.stacks[service.stack]
        launch = sidekick.name if sidekick else ""
        members = [each for each in self.listed if each.service == service.id and each.launch == launch]
        return {
            "uuid": service.uuid,
            "name": self._name(launch or service.name),
            "stack_uuid": stack.uuid,
            "stack_name": self._name(stack.name),
            "kind": service.kind,
            "system": service.system,
            "labels": dict(sidekick.labels if sidekick else service.labels),
            "links": {} if sidekick else self._links(service, stack),
            "sidekicks": [] if sidekick else [self._name(each.name) for each in service.sidekicks],
            "primary_service_name": self._name(service.name),
            "containers": [self.container(each) if self._nested else each.name for each in members],
            "lb_config": _lb_config(service) if not sidekick else None,
            "external_ips": None,
            "scale": len(members),
            "state": service.state,
            "environment_uuid": records.uuid,
            "metadata_kind": "service",
        }

    def _links(self, service: ServiceRecord, stack: StackRecord) -> dict[str, str]:
        """By `stack/service`, in lower case; a link within the stack gets its name in front."""
        return {
            (target if "/" in target else f"{stack.name}/{target}").lower(): alias
            for target, alias in service.links.items()
        }

    def _name(self, name: str) -> str:
        return name.lower() if self._lower else name


def _policy(policy: object) -> object:
    """Rules in the two shapes that are met: with nulls and a type, and as JSON texts of the same."""
    if not isinstance(policy, list):
        return policy
    rules = [_rule(rule) for rule in policy]
    return [json.dumps(rule) if number % 2 else rule for number, rule in enumerate(rules)]


def _rule(rule: object) -> object:
    if not isinstance(rule, dict):
        return rule
    return {"type": "networkPolicyRule", **dict.fromkeys(RULE_FIELDS), **rule}


def _lb_config(service: ServiceRecord) -> Json | None:
    if not service.port_rules:
        return None
    return {"port_rules": [_port_rule(rule) for rule in service.port_rules], "config": "", "certs": []}


def _port_rule(rule: PortRule) -> Json:
    return {
        "service": rule.service,
        "selector": rule.selector,
        "container_uuid": rule.container,
        "environment": rule.environment,
        "region": rule.region,
        "source_port": 80,
        "target_port": 80,
        "protocol": "http",
        "hostname": "",
        "path": "",
    }
