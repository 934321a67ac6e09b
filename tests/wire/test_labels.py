from __future__ import annotations

import pytest

from corral.wire.labels import launch_config


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({}, ""),
        ({"io.rancher.service.launch.config": "io.rancher.service.primary.launch.config"}, ""),
        ({"io.rancher.service.launch.config": "Side"}, "side"),
        ({"io.pasturestack.service.launch.config": "Side"}, "side"),
        ({"io.pasturestack.service.launch.config": "io.rancher.service.primary.launch.config"}, ""),
        ({"io.rancher.service.launch.config": "", "io.pasturestack.service.launch.config": "side"}, "side"),
        ({"io.rancher.service.launch.config": "one", "io.pasturestack.service.launch.config": "two"}, "one"),
    ],
)
def test_launch_config(labels: dict[str, str], name: str) -> None:
    assert launch_config(labels) == name
