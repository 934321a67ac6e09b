"""A local agent's health endpoint, as the commands read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

from corral.errors import UnreachableError, UsageError
from corral.sources.http import parse_json


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP status, the body and its media type."""

    status: int
    body: bytes
    media_type: str


class AgentClient:
    """Asks the agent that listens on `host:port`.

    Raises UnreachableError, or UsageError for a 400 and for a host that is no name.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 10.0) -> None:
        shown = f"[{host}]" if ":" in host else host
        self._base = f"http://{shown}:{port}"
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """GET one path; a status of 200 or 503 is an answer."""
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout, trust_env=False) as session,
                session.get(self._base + path, params=query) as response,
            ):
                answer = Answer(response.status, await response.read(), response.content_type)
        except (UnicodeError, aiohttp.InvalidURL) as error:
            raise UsageError(f"{self._base}: the address is not valid ({error})") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(f"no agent answers at {self._base}: {str(error) or type(error).__name__}") from error
        if answer.status == 400:
            raise UsageError(error_of(answer.body))
        if answer.status not in {200, 503}:
            raise UnreachableError(f"{self._base}{path} answers {answer.status}, which no corral agent does")
        return answer


def error_of(body: bytes) -> str:
    """What an agent says is wrong; of somebody else's answer the beginning."""
    try:
        said = parse_json(body)
    except msgspec.DecodeError:
        said = None
    return str(said["error"]) if isinstance(said, dict) and "error" in said else body[:200].decode(errors="replace")
