"""What an image holds, read from what `docker save` has written."""

from __future__ import annotations

import gzip
import json
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

_CAPABILITY = "SCHILY.xattr.security.capability"


@dataclass(frozen=True)
class Entry:
    """A file of the image. `mode` has the type, too; `capability` is the kernel's struct vfs_cap_data, or empty."""

    path: str
    mode: int
    user: int
    group: int
    time: int
    size: int
    target: str
    capability: bytes
    data: bytes

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_program(self) -> bool:
        """Whether the kernel's loader can run or load it."""
        return self.data.startswith(b"\x7fELF")


class Image:
    """An image, by the path of its archive."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its configuration, as the registry has it."""
        found: dict[str, Any] = json.loads(self._read(self._manifest["Config"]))
        return found

    @cached_property
    def layers(self) -> list[dict[str, Entry]]:
        """The files of each layer by their path."""
        return [dict(self._entries(name)) for name in self._manifest["Layers"]]

    @cached_property
    def files(self) -> dict[str, Entry]:
        """All files by their path, as a container sees them."""
        return {path: entry for layer in self.layers for path, entry in layer.items()}

    @cached_property
    def compressed(self) -> int:
        """Bytes that a host pulls, about."""
        return sum(len(gzip.compress(self._read(name), 6, mtime=0)) for name in self._manifest["Layers"])

    @property
    def digests(self) -> list[str]:
        """Of the layers, before they are compressed."""
        found: list[str] = self.config["rootfs"]["diff_ids"]
        return found

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._read("manifest.json"))[0]
        return found

    def _read(self, name: str) -> bytes:
        with tarfile.open(self._archive) as archive:
            member = archive.extractfile(name)
            assert member is not None  # noqa: S101 - `docker save` writes files
            return member.read()

    def _entries(self, name: str) -> Iterator[tuple[str, Entry]]:
        with tarfile.open(self._archive) as archive, tarfile.open(fileobj=archive.extractfile(name)) as layer:
            for member in layer:
                path = f"/{member.name}".rstrip("/") or "/"
                opened = layer.extractfile(member) if member.isreg() else None
                kind = stat.S_IFDIR if member.isdir() else stat.S_IFLNK if member.issym() else stat.S_IFREG
                yield (
                    path,
                    Entry(
                        path,
                        kind | member.mode,
                        member.uid,
                        member.gid,
                        int(member.mtime),
                        member.size,
                        member.linkname,
                        member.pax_headers.get(_CAPABILITY, "").encode("utf-8", "surrogateescape"),
                        opened.read() if opened else b"",
                    ),
                )
