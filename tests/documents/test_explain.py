"""Explanations, however they come about, have the documented shape."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.daemon.answers.explain import explain
from corral.daemon.answers.topology import topology_of
from corral.documents.explain import Explanation, Names

from ..daemon.running import desk_of, small_environment
from .checking import check

NAMES = ("front/web", "front-db-1", "back/job", "ipsec/ipsec", "10.42.200.1", "192.0.2.7")


@pytest.mark.parametrize("mode", ["enforce", "audit", "off"])
@pytest.mark.parametrize("port", [None, "80", "53/udp"])
def test_explanations(mode: str, port: str | None) -> None:
    environment = small_environment()
    environment.publish_ports("front-db-1", "0.0.0.0:8080:80/tcp")
    loaded = topology_of(desk_of(environment), mode)
    for client in NAMES:
        for server in NAMES:
            check(Explanation, explain(loaded, client, server, port))


def test_another_shape_is_refused() -> None:
    check(Names, {"names": ["a"]})
    with pytest.raises(ValidationError):
        check(Names, {"names": ["a"], "more": 1})
    answer = explain(topology_of(desk_of(small_environment()), "enforce"), "front/web", "back/job", None)
    answer["verdict"] = "drop"  # type: ignore[typeddict-item]
    with pytest.raises(ValidationError):
        check(Explanation, answer)
