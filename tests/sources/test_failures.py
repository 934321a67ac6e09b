from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest
import websockets.exceptions
from websockets.datastructures import Headers
from websockets.http11 import Response

from corral.errors import RefusedError, UnreachableError
from corral.sources import failures
from corral.sources.failures import failure, mapped, status_failure


def descendants(base: type[BaseException]) -> list[type[BaseException]]:
    direct = [kind for kind in base.__subclasses__() if not kind.__module__.startswith("tests")]
    return [base, *(found for kind in direct for found in descendants(kind))]


def _no_arguments(error: BaseException) -> None:
    if isinstance(error, aiohttp.ClientConnectorError):
        error._os_error = OSError("detail")


@pytest.mark.parametrize(
    "kind",
    [
        *descendants(aiohttp.ClientError),
        *descendants(websockets.exceptions.WebSocketException),
        OSError,
        ConnectionResetError,
        TimeoutError,
        EOFError,
    ],
)
def test_every_exception_of_the_libraries_is_mapped(kind: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they will add derives from the bases that are caught; the text is made of any of them."""
    error = kind.__new__(kind)
    monkeypatch.setattr(failures, "status_failure", lambda *_: UnreachableError("asked: status"))
    if isinstance(error, websockets.exceptions.InvalidStatus):
        error.response = Response(500, "", Headers())
    else:
        error = type(kind.__name__, (kind,), {"__init__": _no_arguments, "__str__": lambda _: "detail"})()
    with pytest.raises(UnreachableError, match=r"^asked: ") as caught, mapped("asked"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "asked: no answer in time (TimeoutError)"),
        (ConnectionRefusedError("no"), "asked: the connection is refused (no)"),
        (OSError("broken"), "asked: it can not be reached (broken)"),
        (aiohttp.ClientPayloadError("short"), "asked: the answer is cut off (short)"),
        (aiohttp.InvalidURL("x"), "asked: the address is not valid (x)"),
    ],
)
def test_words(error: Exception, text: str) -> None:
    assert str(failure(error, "asked")) == text


def test_json_that_is_none() -> None:
    with pytest.raises(UnreachableError, match="the answer is no JSON"), mapped("asked"):
        msgspec.json.decode("<html>")


@pytest.mark.parametrize("error", [KeyError("a"), ValueError("b"), asyncio.CancelledError()])
def test_faults_of_our_own_stay(error: BaseException) -> None:
    with pytest.raises(type(error)), mapped("asked"):
        raise error


@pytest.mark.parametrize(("status", "kind"), [(401, RefusedError), (403, RefusedError), (404, UnreachableError)])
def test_statuses(status: int, kind: type[UnreachableError]) -> None:
    error = status_failure(status, "asked", "detail")
    assert type(error) is kind
    assert str(status) in str(error)
    assert str(error).endswith(": detail")


def test_a_websocket_refused() -> None:
    error = websockets.exceptions.InvalidStatus(Response(403, "Forbidden", Headers()))
    assert isinstance(failure(error, "asked"), RefusedError)


def test_a_host_that_is_no_name() -> None:
    with pytest.raises(UnreachableError, match="asked: the address is not valid"), mapped("asked"):
        "a..b".encode("idna")
