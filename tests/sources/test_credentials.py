from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest

from corral.errors import UsageError
from corral.sources.credentials import Credentials, api_base, origin, tls_context


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://server:8080/v1", "http://server:8080/v2-beta"),
        ("http://server:8080", "http://server:8080/v2-beta"),
        ("http://server:8080/", "http://server:8080/v2-beta"),
        ("https://server/v2-beta", "https://server/v2-beta"),
        ("https://server/rancher/v1/", "https://server/rancher/v2-beta"),
        ("https://server/v1/projects/1a5", "https://server/v2-beta/projects/1a5"),
        ("https://server/v2-beta/projects/1a5", "https://server/v2-beta/projects/1a5"),
        ("https://key:secret@server/v1?a=b#c", "https://server/v2-beta"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v2-beta"),
    ],
)
def test_base(url: str, base: str) -> None:
    assert api_base(url) == base


@pytest.mark.parametrize("url", ["server:8080", "ftp://key:secret@server/v1", "http://", ""])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="is allowed") as caught:
        api_base(url)
    assert "secret" not in str(caught.value)


def test_events_url() -> None:
    plain, secure = (Credentials.of(f"{scheme}://server:1/v1", "a", "s") for scheme in ("http", "https"))
    assert plain.events_url == "ws://server:1/v2-beta/subscribe?eventNames=resource.change"
    assert secure.events_url == "wss://server:1/v2-beta/subscribe?eventNames=resource.change"


def test_the_secret_is_shown_nowhere_but_in_the_header() -> None:
    credentials = Credentials.of("http://server", "access", "top:sécret")
    assert "cret" not in repr(credentials) + str(credentials)
    kind, encoded = credentials.authorization.split()
    assert (kind, base64.b64decode(encoded).decode()) == ("Basic", "access:top:sécret")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://server/other", True),
        ("ws://SERVER:80/x", True),
        ("https://server/", False),
        ("http://server:8080/", False),
        ("http://other/", False),
    ],
)
def test_origin(url: str, same: bool) -> None:
    assert (origin(url) == origin("http://server/v1")) is same


@pytest.mark.parametrize("url", ["http://server:99999/v1", "http://server:port/v1", "http://[::1/v1"])
def test_what_is_no_address_shares_its_origin_with_nothing(url: str) -> None:
    assert origin(url) != origin(url)


def test_tls_context(tmp_path: Path) -> None:
    assert tls_context(None).verify_mode is ssl.CERT_REQUIRED
    broken = tmp_path / "ca.crt"
    broken.write_text("no certificate")
    for path in (broken, tmp_path / "missing.crt"):
        with pytest.raises(UsageError, match=path.name):
            tls_context(path)
