"""The one capability that corral needs, CAP_NET_ADMIN, as this thread has it.

The image's interpreter has it as a file capability that is permitted, but not effective: a command that needs it raises
it itself, and the others run without it (an effective one would make exec fail with EPERM where it is not granted).
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_STATUS = Path("/proc/thread-self/status")  # capabilities are a thread's
_CAP_NET_ADMIN = 12
_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3, whose sets are two words


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def may_administrate() -> bool | None:
    """Whether this thread has the capability in effect; None when that can not be read."""
    status = _status()
    return _has(status, "CapEff") if status else None


def raise_net_admin() -> None:
    """Put the capability into effect where this thread may, for it and the threads that it starts from then on.

    Where it may not, nothing happens: the kernel refuses then, and `remedy_for_lack` says what to do.
    """
    if may_administrate():
        return
    libc = ctypes.CDLL(None)
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    if libc.capget(ctypes.byref(header), sets) == 0:
        sets[0].effective |= sets[0].permitted & 1 << _CAP_NET_ADMIN
        libc.capset(ctypes.byref(header), sets)


def remedy_for_lack() -> str:
    """What to do about a kernel that does not let this process administrate the network."""
    status = _status()
    if _has(status, "CapEff"):
        return "this has it in a user namespace of its own only, run it in the host's (--userns host)"
    remedies = []
    if not _has(status, "CapBnd"):
        remedies.append("give it to the container (--cap-add NET_ADMIN)")
    if status.get("NoNewPrivs") == "1" and os.geteuid() != 0:
        remedies.append("run it without no-new-privileges, which keeps the program from getting it")
    as_root = "run this as root, or with the ambient capability (systemd: AmbientCapabilities=CAP_NET_ADMIN)"
    return ", and ".join(remedies) or as_root


def _status() -> dict[str, str]:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _has(status: dict[str, str], which: str) -> bool:
    return bool(int(status.get(which, "0"), 16) >> _CAP_NET_ADMIN & 1)
