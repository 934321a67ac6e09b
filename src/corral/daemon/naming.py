"""How the documents call the ends of flows."""

from __future__ import annotations

from collections.abc import Mapping

from corral.documents.denied import FlowEnd
from corral.model.endpoint import Endpoint
from corral.model.entities import Container
from corral.model.lookup import name_of
from corral.policy.profiles import party_name
from corral.types import Address


def flow_end(address: Address, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]) -> FlowEnd:
    """One end of a flow; without a name where it is no known endpoint."""
    endpoint = endpoints.get(address)
    if endpoint is None:
        return {"name": None, "address": str(address), "party": str(address)}
    name, party = name_of(address, endpoints, containers), party_name(endpoint, containers)
    return {"name": name, "address": str(address), "party": party}
