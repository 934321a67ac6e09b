"""Durations and addresses as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from corral.errors import UsageError
from corral.values import DEFAULT_LISTEN, parse_listen, read_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("1.5m", 90), ("2h", 7200), ("1d", 86400), (" 3s ", 3)]
)
def test_durations_have_a_unit(text: str, seconds: float) -> None:
    assert read_duration("--timeout", text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "-5s", "s", "5 s", "5w", "1e3s"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--timeout: '.*' given; a number with a unit is allowed: 500ms, 30s"):
        read_duration("--timeout", text)


def test_a_duration_that_is_too_long() -> None:
    with pytest.raises(UsageError, match=r"at most \d+d is allowed"):
        read_duration("--timeout", "9999999999999d")


@pytest.mark.parametrize(
    ("text", "host", "port"), [("127.0.0.1:8799", "127.0.0.1", 8799), ("[::1]:80", "::1", 80), ("a.b:0", "a.b", 0)]
)
def test_addresses_have_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert (parse_listen(text).host, parse_listen(text).port) == (host, port)
    assert (DEFAULT_LISTEN.host, DEFAULT_LISTEN.port) == ("127.0.0.1", 8799)


@pytest.mark.parametrize("text", ["", "nowhere", ":80", "a:", "a:b", "a:65536", "a:-1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="host:port is allowed"):
        parse_listen(text)
