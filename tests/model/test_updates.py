from __future__ import annotations

from dataclasses import fields

import pytest

from corral.model.entities import Container, Network, Service
from corral.model.updates import ContainerFields, NetworkFields, ServiceFields


@pytest.mark.parametrize(
    ("mentioned", "resource"), [(ContainerFields, Container), (ServiceFields, Service), (NetworkFields, Network)]
)
def test_an_event_mentions_fields_that_the_resource_has(mentioned: type, resource: type) -> None:
    assert set(mentioned.__annotations__) <= {field.name for field in fields(resource)}
    assert not mentioned.__required_keys__  # type: ignore[attr-defined]
