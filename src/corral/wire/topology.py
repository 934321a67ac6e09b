"""The topology document, read back: a picture of the environment that an agent wrote."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder

from corral.errors import UsageError
from corral.model.change import ManagedNetwork
from corral.model.endpoint import Endpoint
from corral.model.entities import Container, Host
from corral.model.topology import Topology
from corral.types import Address, Problem, Subnet

FORMAT = "corral-topology/1"

Mode = Literal["enforce", "audit", "off"]


class _Network(Struct, frozen=True):
    uuid: str
    name: str
    bridge: str
    subnets: list[str]


class _Document(Struct, frozen=True):
    """What is not here (version, time, digest) is for people."""

    format: str
    mode: Mode
    unknown_endpoints: Literal["default", "allow"]
    suspended: bool
    self_host: str
    network: _Network
    policy: Any
    default_policy_action: Any
    hosts: list[Host]
    endpoints: list[Endpoint]
    containers: list[Container]
    problems: list[Problem]


def _address(_: type, value: object) -> Address:
    """msgspec asks this for the one type that it does not know, and adds to an error where the value is."""
    try:
        return Address.parse(str(value))
    except ValueError:
        raise ValueError(f"{value!r} given; an IPv4 address such as 10.42.0.1 is allowed") from None


_decoder = Decoder(_Document, dec_hook=_address)


def read_topology(document: bytes) -> Topology:
    """Read what an agent wrote, see `documents.topology`.

    Raises UsageError, which names the field and what is allowed.
    """
    try:
        if (given := _kind.decode(document).format) != FORMAT:
            raise UsageError(f"format: {given!r} given; {FORMAT!r} is allowed")
        return _topology(_decoder.decode(document))
    except ValidationError as error:
        raise UsageError(_words(str(error))) from error
    except (DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"this is no JSON: {error}") from error


def _words(error: str) -> str:
    """msgspec's sentence with the place in front: what was expected is what is allowed."""
    sentence, _, place = error.partition(" - at `$")
    return f"{place.strip('`.') or 'document'}: {sentence}"


def _topology(read: _Document) -> Topology:
    network = ManagedNetwork(
        uuid=read.network.uuid,
        name=read.network.name,
        bridge=read.network.bridge,
        subnets=tuple(_subnet(index, text) for index, text in enumerate(read.network.subnets)),
        policy=read.policy,
        default_policy_action=read.default_policy_action,
    )
    return Topology(
        network=network,
        endpoints={endpoint.address: endpoint for endpoint in read.endpoints},
        containers={container.uuid: container for container in read.containers},
        hosts={host.uuid: host for host in read.hosts},
        self_host=read.self_host,
        unknown_allowed=read.unknown_endpoints == "allow",
        suspended=read.suspended,
        mode=read.mode,
        problems=tuple(read.problems),
    )


def _subnet(index: int, text: str) -> Subnet:
    try:
        return Subnet.parse(text)
    except ValueError:
        allowed = "a subnet such as 10.42.0.0/16 is allowed"
        raise UsageError(f"network.subnets[{index}]: {text!r} given; {allowed}") from None


def is_topology(document: bytes) -> bool:
    """Whether somebody wrote a topology, rather than the metadata's root document or anything else."""
    try:
        return _kind.decode(document).format is not None
    except (DecodeError, UnicodeError, RecursionError):
        return False


class _Kind(Struct, frozen=True):
    format: Any = None


_kind = Decoder(_Kind)
