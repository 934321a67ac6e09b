"""The Rancher API's resources: the fields of each that policy depends on.

Whether a field was mentioned counts: `model_fields_set` tells. Null references and nulls in place of names,
labels or states are taken as not mentioned, since the API computes such fields late (and nothing ever leaves
its stack, service, host or network). So is what is odd and expendable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType
from pydantic import AliasPath, BeforeValidator, Field

from corral.types import Address
from corral.wire.fields import Flag, Identity, Judged, Labels, Name, NamedIdentity, OptionalAddress, WireModel

NotEmpty = Annotated[str, Meta(min_length=1)]  # for msgspec
ApiId = Annotated[str, Field(min_length=1)]

# The API's resource types, by the collection that lists them.
COLLECTIONS: Mapping[str, str] = {
    "host": "hosts",
    "network": "networks",
    "stack": "stacks",
    "service": "services",
    "loadBalancerService": "services",
    "dnsService": "services",
    "externalService": "services",
    "container": "containers",
    "instance": "containers",
}


def _ids(value: object) -> object:
    """The values of a map link name -> service id; null is no mention."""
    return tuple(value.values()) if isinstance(value, dict) else value


def without_nulls(raw: object, keep: Iterable[str] = ()) -> object:
    """The object without fields that are null, but for those whose null says something."""
    if not isinstance(raw, dict):
        return raw
    return {key: value for key, value in raw.items() if value is not None or key in keep}


GONE = frozenset({"removed", "purging", "purged"})


class Resource(WireModel):
    expendable: ClassVar[tuple[str, ...]] = ("state",)

    id: ApiId
    state: Name = ""
    removed: Any = None

    @property
    def gone(self) -> bool:
        """Whether it was removed; then nothing refers to it any more."""
        return self.removed is not None or self.state in GONE


class HostResource(Resource):
    uuid: Identity


class NetworkResource(Resource):
    uuid: Identity
    policy: Judged = None
    default_policy_action: Judged = Field(default=None, alias="defaultPolicyAction")


class StackResource(Resource):
    expendable: ClassVar[tuple[str, ...]] = ("state", "system")

    name: NamedIdentity
    system: Flag = False


class SidekickResource(WireModel):
    name: NamedIdentity
    labels: Labels = Field(default_factory=dict)


class ServiceResource(Resource):
    # No sidekick is: without it in the list, its containers would count as the primary's.
    expendable: ClassVar[tuple[str, ...]] = (
        "state", "system", "launchConfig.labels", "launchConfig.labels.*", "linkedServices",
        "secondaryLaunchConfigs.*.labels", "secondaryLaunchConfigs.*.labels.*",
    )  # fmt: skip

    name: NamedIdentity
    stack: ApiId = Field(alias="stackId")
    system: Flag = False
    labels: Labels = Field(default_factory=dict, validation_alias=AliasPath("launchConfig", "labels"))
    sidekicks: tuple[SidekickResource, ...] = Field(default=(), alias="secondaryLaunchConfigs")
    links: Annotated[tuple[ApiId, ...], BeforeValidator(_ids)] = Field(default=(), alias="linkedServices")


class ContainerResource(Resource):
    expendable: ClassVar[tuple[str, ...]] = ("name", "state", "system", "labels", "labels.*")

    uuid: Identity
    name: Name = ""
    address: OptionalAddress = Field(default=None, alias="primaryIpAddress")
    network: ApiId = Field(default="", alias="primaryNetworkId")
    network_from: ApiId = Field(default="", alias="networkContainerId")
    host: ApiId = Field(default="", alias="hostId")
    stack: ApiId = Field(default="", alias="stackId")
    services: tuple[ApiId, ...] = Field(default=(), alias="serviceIds")
    system: Flag = False
    labels: Labels = Field(default_factory=dict)


class PlainContainer(
    Struct,
    frozen=True,
    gc=False,
    rename={
        "address": "primaryIpAddress",
        "network": "primaryNetworkId",
        "network_from": "networkContainerId",
        "host": "hostId",
        "stack": "stackId",
        "services": "serviceIds",
    },
):
    """What a container's resource says, with nothing odd left in it. None is not mentioned, but for the address."""

    id: NotEmpty
    uuid: NotEmpty
    state: str | None = None
    removed: Any = None
    name: str | None = None
    address: Address | UnsetType | None = UNSET
    network: NotEmpty | None = None
    network_from: NotEmpty | None = None
    host: NotEmpty | None = None
    stack: NotEmpty | None = None
    services: tuple[NotEmpty, ...] | None = None
    system: bool | None = None
    labels: dict[str, str] | None = None

    @classmethod
    def of(cls, resource: ContainerResource) -> PlainContainer:
        """What is left of a resource that was read tolerantly."""
        return cls(**{name: getattr(resource, name) for name in resource.model_fields_set})


# Nulls that say something: an address that was taken away, no policy, a default action that was never set.
TELLING_NULLS = {
    "containers": ("primaryIpAddress",),
    "networks": ("policy", "defaultPolicyAction"),
}
