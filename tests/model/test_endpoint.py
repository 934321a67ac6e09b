from __future__ import annotations

from corral.model.endpoint import Endpoint
from tests.model.builders import address


def test_label_values_are_those_of_all_its_containers() -> None:
    endpoint = Endpoint(
        address=address("10.42.0.2"), containers=("a", "b", "c"), labels=({"tier": "x"}, {}, {"tier": "y", "Tier": "z"})
    )
    assert list(endpoint.label_values("tier")) == ["x", "y"]
    assert list(endpoint.label_values("other")) == []
