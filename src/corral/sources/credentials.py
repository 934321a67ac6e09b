"""Where Rancher's API is, and the key for it."""

from __future__ import annotations

import base64
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from corral.errors import UsageError

API_VERSION = "v2-beta"
_VERSION_SEGMENT = re.compile(r"v\d+(-\w+)?")
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class Credentials:
    """The API's base address and an environment's key. The secret is in no representation of it."""

    base: str
    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def of(cls, url: str, access_key: str, secret_key: str) -> Credentials:
        """From what Rancher gives to its agents. Raises UsageError for an address that is none."""
        return cls(api_base(url), access_key, secret_key)

    @property
    def authorization(self) -> str:
        """HTTP basic authentication."""
        key = f"{self.access_key}:{self.secret_key}".encode()
        return f"Basic {base64.b64encode(key).decode()}"

    @property
    def events_url(self) -> str:
        scheme, rest = self.base.split(":", 1)
        return f"{'wss' if scheme == 'https' else 'ws'}:{rest}/subscribe?eventNames=resource.change"


def api_base(url: str) -> str:
    """`CATTLE_URL` with `/v1` replaced by `/v2-beta`, or that appended; a project's path is kept."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{_without_userinfo(parts)}: an http:// or https:// address is allowed for Rancher's API")
    segments = [segment for segment in parts.path.split("/") if segment]
    version = next((index for index, segment in enumerate(segments) if _VERSION_SEGMENT.fullmatch(segment)), None)
    if version is None:
        segments.append(API_VERSION)
    elif segments[version] == "v1":
        segments[version] = API_VERSION
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/" + "/".join(segments), "", ""))


def _without_userinfo(parts: SplitResult) -> str:
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def origin(url: str) -> tuple[str, str, object]:
    """Transport security, host and port: credentials never leave the origin that they are for.

    What is no address has an origin that equals no other.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", "", object()
    secure = "tls" if parts.scheme in {"https", "wss"} else "plain"
    return secure, (parts.hostname or "").lower(), port or _DEFAULT_PORTS.get(parts.scheme)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """The system's roots, and those of `ca_file`. Raises UsageError when that is no PEM bundle."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{ca_file}: a PEM bundle of certificates is allowed: {error}") from error
    return context
