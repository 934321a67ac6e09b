"""The one place where aiohttp's, websockets' and JSON's exceptions become ours, the cause kept."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
import msgspec
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    PayloadTooBig,
    SecurityError,
    WebSocketException,
)

from corral.errors import RefusedError, UnreachableError

REFUSALS = frozenset({401, 403})

# What is expected of the other side; anything else is a fault of ours and stays as it is.
# UnicodeError comes of a host that is no name, such as `a..b`.
FAILURES = (
    aiohttp.ClientError,
    WebSocketException,
    OSError,
    TimeoutError,
    EOFError,
    msgspec.DecodeError,
    UnicodeError,
)

# OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
_HOSTNAME_MISMATCH, _ADDRESS_MISMATCH = 62, 64

_PHRASES: Mapping[type[BaseException], str] = {
    aiohttp.ClientSSLError: "TLS fails",
    aiohttp.ServerFingerprintMismatch: "TLS fails",
    aiohttp.ClientConnectorDNSError: "the name does not resolve",
    aiohttp.InvalidURL: "the address is not valid",
    aiohttp.ClientPayloadError: "the answer is cut off",
    aiohttp.ServerDisconnectedError: "the connection was closed",
    InvalidURI: "the address is not valid",
    PayloadTooBig: "a message is too large",
    ConnectionClosed: "the connection was closed",
    SecurityError: "the server is not to be trusted",
    InvalidHandshake: "no websocket is offered",
    msgspec.DecodeError: "the answer is no JSON",
    TimeoutError: "no answer in time",
    ConnectionRefusedError: "the connection is refused",
    ssl.SSLError: "TLS fails",
    UnicodeError: "the address is not valid",
}


def failure(error: BaseException, what: str) -> UnreachableError:
    """Our error for one of FAILURES; `what` says what was asked, without credentials."""
    if isinstance(error, InvalidStatus):
        return status_failure(error.response.status_code, what)
    # aiohttp's is one by name only: what OpenSSL said is inside.
    certificate = getattr(error, "certificate_error", error)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return _certificate_failure(certificate, what)
    phrase = next((text for kind, text in _PHRASES.items() if isinstance(error, kind)), "")
    if not phrase and isinstance(error, aiohttp.ClientConnectorError):
        return failure(error.os_error, what)
    detail = str(error) or type(error).__name__
    return UnreachableError(f"{what}: {phrase or 'it can not be reached'} ({detail})")


def _certificate_failure(error: ssl.SSLCertVerificationError, what: str) -> UnreachableError:
    # What OpenSSL did not raise itself lacks both.
    mismatch = getattr(error, "verify_code", 0) in {_HOSTNAME_MISMATCH, _ADDRESS_MISMATCH}
    said = getattr(error, "verify_message", error)
    remedy = "use the name that it is for" if mismatch else "set CORRAL_CA_FILE to its authority's, as PEM"
    return UnreachableError(f"{what}: the server's certificate is not trusted ({said}): {remedy}")


def status_failure(status: int, what: str, detail: str = "") -> UnreachableError:
    """Our error for an HTTP status that is no success."""
    tail = f": {detail}" if detail else ""
    if status in REFUSALS:
        return RefusedError(f"{what}: the credentials are refused (status {status}){tail}")
    if 300 <= status < 400:
        return UnreachableError(f"{what}: redirected elsewhere (status {status}){tail}")
    return UnreachableError(f"{what}: answers with status {status}{tail}")


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Raise ours for theirs."""
    try:
        yield
    except FAILURES as error:
        raise failure(error, what) from error
