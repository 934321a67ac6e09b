"""The archive that a guest boots from."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tests.oldkernels.archive import pack
from tests.oldkernels.packages import Kernel


def entries(data: bytes) -> Iterator[tuple[str, int, int, bytes]]:
    """Name, mode, time of modification and content (linux/Documentation: "initramfs buffer format")."""
    at = 0
    while at < len(data):
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * place : at + 14 + 8 * place], 16) for place in range(13)]
        _, mode, _, _, _, modified, size, _, _, _, _, length, _ = numbers
        name = data[at + 110 : at + 110 + length - 1].decode()
        at += -(-(110 + length) // 4) * 4
        yield name, mode, modified, data[at : at + size]
        at += -(-size // 4) * 4


def test_what_a_guest_needs_is_there_and_directories_come_first(tmp_path: Path) -> None:
    modules = tmp_path / "lib" / "modules" / "5.10.0"
    modules.mkdir(parents=True)
    (modules / "veth.ko").write_bytes(b"a module")
    os.utime(modules / "veth.ko", (1, 1))
    pack(Kernel("5.10", "5.10.0", tmp_path), {"/init": b"#!/bin/sh\n"}, tmp_path / "archive")
    found = {name: rest for name, *rest in entries((tmp_path / "archive").read_bytes())}
    *names, last = found
    assert last == "TRAILER!!!"
    assert found["lib/modules/5.10.0/veth.ko"] == [stat.S_IFREG | 0o644, 1, b"a module"]
    assert found["init"][2] == b"#!/bin/sh\n"
    assert found["bin"][2] == b"usr/bin"
    assert {"usr/sbin/nft", "usr/bin/sh", "etc/passwd", "proc"} <= found.keys()
    assert any(name.endswith("/libc.so.6") for name in names)
    assert any(name.endswith("/pytest/__init__.py") for name in names)
    assert not any("/playwright/" in name for name in names)
    seen = {"", "lib/modules"}
    for name in names:
        parent = name.rpartition("/")[0]
        assert parent in found or parent in seen, f"{name} comes before its directory"
        seen.add(name)
