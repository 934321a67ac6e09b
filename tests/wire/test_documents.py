from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.wire.documents import NetworkDocument, ServiceDocument


def test_cni_documents_come_by_file_name() -> None:
    config = {"20-b.conf": {"bridge": "b"}, "10-a.conf": {"bridge": "a", "bridgeSubnet": None}, "30": None}
    network = NetworkDocument.model_validate({"uuid": "n1", "metadata": {"cniConfig": config}})
    assert [(cni.bridge, cni.bridge_subnet) for cni in network.cni.values()] == [("a", ""), ("b", "")]


@pytest.mark.parametrize("config", [{"a": {"bridge": 5}}, {"a": {"bridgeSubnet": ["10.42.0.0/16"]}}, {"a": "text"}])
def test_a_bridge_is_never_guessed(config: object) -> None:
    with pytest.raises(ValidationError):
        NetworkDocument.model_validate({"uuid": "n1", "metadata": {"cniConfig": config}})


@pytest.mark.parametrize("rules", [{}, "text", [5], [{"service": 5}], [{"container_uuid": []}]])
def test_port_rules_are_never_guessed(rules: object) -> None:
    with pytest.raises(ValidationError):
        ServiceDocument.model_validate({"name": "lb", "lb_config": {"port_rules": rules}})
