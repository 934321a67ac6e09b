"""Records as the Rancher API (`/v2-beta`) shows them, in collections and in events."""

from __future__ import annotations

from typing import Any

from corral.sandbox.records import (
    ContainerRecord,
    HostRecord,
    NetworkRecord,
    Record,
    Records,
    ServiceRecord,
    StackRecord,
)

Json = dict[str, Any]
COLLECTIONS = ("hosts", "stacks", "services", "containers", "networks")
REMOVED_AT = "2017-10-01T00:00:00Z"


def resource_type(record: Record) -> str:
    """The type that events and resources carry; a service's is its kind."""
    match record:
        case HostRecord():
            return "host"
        case StackRecord():
            return "stack"
        case ServiceRecord():
            return record.kind
        case ContainerRecord():
            return "container"
        case NetworkRecord():
            return "network"


def render_resource(records: Records, record: Record) -> Json:
    """The whole resource, but for the links that the server adds."""
    base: Json = {
        "id": record.id,
        "type": resource_type(record),
        "baseType": "service" if isinstance(record, ServiceRecord) else resource_type(record),
        "uuid": record.uuid,
        "name": record.name,
        "state": record.state,
        "removed": REMOVED_AT if record.state == "removed" else None,
        "transitioning": "no",
        "links": {},
        "actions": {},
    }
    return base | _specific(records, record)


def _specific(records: Records, record: Record) -> Json:
    match record:
        case HostRecord():
            return {"agentIpAddress": record.agent_ip, "hostname": record.name, "labels": dict(record.labels)}
        case StackRecord():
            return {"system": record.system, "serviceIds": _services_of(records, record)}
        case ServiceRecord():
            return _service(records, record)
        case ContainerRecord():
            return _container(records, record)
        case NetworkRecord():
            return {
                "kind": record.kind,
                "policy": record.policy,
                "defaultPolicyAction": record.default_policy_action,
                "metadata": _cni_metadata(record),
            }


def _services_of(records: Records, stack: StackRecord) -> list[str]:
    return [service.id for service in records.services.values() if service.stack == stack.id]


def _service(records: Records, service: ServiceRecord) -> Json:
    return {
        "stackId": service.stack,
        "kind": service.kind,
        "system": service.system,
        "scale": service.scale,
        "launchConfig": {"labels": dict(service.labels)},
        "secondaryLaunchConfigs": [
            {"name": sidekick.name, "labels": dict(sidekick.labels)} for sidekick in service.sidekicks
        ],
        "linkedServices": _linked_services(records, service),
        "instanceIds": [each.id for each in records.containers.values() if each.service == service.id],
    }


def _linked_services(records: Records, service: ServiceRecord) -> Json:
    """By link name, the ids of those targets that are in this environment."""
    stack = records.stacks[service.stack].name
    ids = {records.path(other).lower(): other.id for other in records.services.values()}
    named = {target: target if "/" in target else f"{stack}/{target}" for target in service.links}
    return {target: ids[path.lower()] for target, path in named.items() if path.lower() in ids}


def _container(records: Records, container: ContainerRecord) -> Json:
    return {
        "kind": "container",
        "primaryIpAddress": container.address,
        "primaryNetworkId": container.network,
        "networkContainerId": container.network_from,
        "networkMode": "container" if container.network_from else "managed",
        "hostId": container.host,
        "stackId": container.stack,
        "serviceIds": [container.service] if container.service else [],
        "labels": dict(container.labels),
        "instanceLinks": dict(container.links),
        "system": container.system,
        "startCount": container.start_count,
        "createIndex": container.create_index,
        "externalId": container.external_id,
    }


def _cni_metadata(network: NetworkRecord) -> Json:
    return {"cniConfig": {"10-rancher.conf": dict(network.cni)}} if network.cni else {}
