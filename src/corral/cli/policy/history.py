"""Former policies, as files that `corral policy apply` takes: one before each change, the last few of each network."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import quote

from corral.errors import PolicyError, UsageError
from corral.policy.document import PolicyDocument, read_document

KEPT = 20

_TIME = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(r"(?P<network>.+)_(?P<time>\d{8}T\d{6}\.\d{6}Z)_(?P<digest>[0-9a-f]+)\.json")


@dataclass(frozen=True, slots=True)
class Former:
    """A policy that was replaced: the digest, and when."""

    path: Path
    at: datetime
    digest: str

    def read(self) -> PolicyDocument:
        """The policy. Raises UsageError when the file was touched and is none any more, or is gone."""
        try:
            return read_document(self.path.read_text(encoding="utf-8"))
        except (OSError, UnicodeError, PolicyError) as error:
            raise UsageError(f"{self.path}: {error}") from error


def default_directory(environment: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/corral`, or `~/.local/state/corral`."""
    named = environment.get("XDG_STATE_HOME", "")
    if os.path.isabs(named):  # noqa: PTH117 - what the XDG specification says of relative ones: ignore them
        return Path(named) / "corral"
    return Path(environment.get("HOME") or "/") / ".local" / "state" / "corral"


class History:
    """The former policies of one network, in a directory that only its owner can read."""

    def __init__(self, directory: Path, network: str) -> None:
        self._directory = directory
        self._network = quote(network, safe="")

    def keep(self, document: PolicyDocument, at: datetime) -> Path:
        """Write a policy down. Raises UsageError, naming directory and setting."""
        name = f"{self._network}_{at.astimezone(UTC).strftime(_TIME)}_{document.digest}.json"
        path = self._directory / name
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(path, document.as_text())
        except OSError as error:
            raise UsageError(
                f"CORRAL_STATE_DIR: the former policy can not be kept in {self._directory}: {error.strerror or error}; "
                "a directory that can be written to is allowed"
            ) from error
        return path

    def drop(self, path: Path) -> None:
        """Forget one that was not replaced after all."""
        path.unlink(missing_ok=True)

    def forget_old(self) -> None:
        """All but the last few, as far as that can be done: the change that it follows is made already."""
        with suppress(OSError, UsageError):
            for old in self.formers()[KEPT:]:
                old.path.unlink(missing_ok=True)

    def formers(self) -> list[Former]:
        """The latest first. Raises UsageError when the directory can not be read."""
        try:
            names = os.listdir(self._directory)  # noqa: PTH208 - names are all that is needed
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"CORRAL_STATE_DIR: {self._directory} can not be read: {error.strerror}") from error
        matches = (match for name in names if (match := _NAME.fullmatch(name)) and match["network"] == self._network)
        found = [Former(self._directory / one[0], _read_time(one["time"]), one["digest"]) for one in matches]
        return sorted(found, key=lambda former: former.at, reverse=True)

    def _write(self, path: Path, text: str) -> None:
        """All of it or nothing, on the disk before anything is changed; the file is its owner's alone."""
        with NamedTemporaryFile("w", encoding="utf-8", dir=self._directory, prefix=".", delete=False) as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, path)  # noqa: PTH105 - of a name
            except BaseException:
                os.unlink(file.name)  # noqa: PTH108 - of a name
                raise


def _read_time(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
