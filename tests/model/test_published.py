"""Published ports as the metadata writes them."""

from __future__ import annotations

import pytest

from corral.model.published import PublishedPort, published_ports
from corral.types import Protocol


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("0.0.0.0:8080:80/tcp", PublishedPort(8080, 80, Protocol.TCP)),
        ("8080:80", PublishedPort(8080, 80, Protocol.TCP)),
        ("53:53/UDP", PublishedPort(53, 53, Protocol.UDP)),
        ("192.0.2.7:8080:80/tcp", PublishedPort(8080, 80, Protocol.TCP, "192.0.2.7")),
        ("[::1]:8080:80/tcp", PublishedPort(8080, 80, Protocol.TCP, "::1")),
        (":::8080:80/tcp", PublishedPort(8080, 80, Protocol.TCP)),
    ],
)
def test_what_is_published(text: str, port: PublishedPort) -> None:
    assert published_ports([text]) == (port,)


@pytest.mark.parametrize("text", ["80/tcp", "", "0:80/tcp", "8080:99999", "a:b/tcp", "8080:80/sctp"])
def test_what_is_only_exposed_or_odd_is_left_out(text: str) -> None:
    assert published_ports([text]) == ()


def test_each_once_and_in_order() -> None:
    first, second = published_ports(["443:443/tcp", "0.0.0.0:80:8080/tcp", "80:8080/tcp"])
    assert (first.public, second.public) == (80, 443)
    assert str(first) == "8080/tcp"
