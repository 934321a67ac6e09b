"""Network namespaces that have no name and no file: a descriptor holds each, so that they end with the process."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from corral.errors import UnsupportedError

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
OWN_NAMESPACE = "/proc/thread-self/ns/net"
REMEDY = (
    "run as root, or allow user namespaces: user.max_user_namespaces above 0, kernel.unprivileged_userns_clone=1 on "
    "older Debian, kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu; inside a container, start it privileged"
)

# os.unshare and os.setns come with Python 3.12 only.
_libc = ctypes.CDLL(None, use_errno=True)
_entered = threading.local()


class Namespace:
    """A network namespace. `with namespace:` puts the calling thread into it; sockets made there stay there.

    Never await inside: the whole thread, and so the whole event loop, is in the namespace. Threads and processes
    started inside begin their life in it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def create(cls) -> Self:
        """Make a new namespace. Raises UnsupportedError without the privilege to do so."""
        made: list[Self | OSError] = []

        def make() -> None:
            try:
                _unshare(CLONE_NEWNET)
                made.append(cls(os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)))
            except OSError as error:
                made.append(error)

        # The thread takes the new namespace with it when it ends; the descriptor keeps it alive.
        maker = threading.Thread(target=make, name="namespace-maker")
        maker.start()
        maker.join()
        result = made[0]
        if isinstance(result, OSError):
            raise UnsupportedError(f"no network namespace can be made ({result.strerror}): {REMEDY}") from result
        return result

    def __enter__(self) -> Self:
        stack: list[int] = _entered.__dict__.setdefault("stack", [])
        home = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self.descriptor)
        except OSError:
            os.close(home)
            raise
        stack.append(home)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        home: int = _entered.stack.pop()
        try:
            _setns(home)
        finally:
            os.close(home)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket that lives in this namespace."""
        with self:
            made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    def write_sysctl(self, name: str, value: int) -> None:
        """Write e.g. `net/ipv4/ip_forward`; /proc/sys/net shows the namespace of the thread that looks."""
        with self:
            try:
                Path("/proc/sys", name).write_text(str(value))
            except OSError as error:
                raise UnsupportedError(f"/proc/sys/{name} can not be written ({error.strerror}): {REMEDY}") from error

    def close(self) -> None:
        """Let go of it; it ends with its last socket and process."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def enter_sandbox() -> bool:
    """Move this process into a private network namespace, and as an ordinary user into a user namespace as its root.

    True if into a user namespace, too. Call it early, while there is one thread. Raises UnsupportedError, with the
    remedy, where that is forbidden.
    """
    if os.geteuid() == 0:
        try:
            _unshare(CLONE_NEWNET)
        except OSError as error:
            raise UnsupportedError(f"root may not make network namespaces ({error.strerror}): {REMEDY}") from error
        return False
    user, group = os.geteuid(), os.getegid()
    try:
        _unshare(CLONE_NEWUSER | CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    except OSError as error:
        raise UnsupportedError(f"user namespaces are forbidden here ({error.strerror}): {REMEDY}") from error
    return True


def _unshare(flags: int) -> None:
    if _libc.unshare(ctypes.c_int(flags)) != 0:
        raise _os_error("unshare")


def _setns(descriptor: int) -> None:
    if _libc.setns(ctypes.c_int(descriptor), ctypes.c_int(CLONE_NEWNET)) != 0:
        raise _os_error("setns")


def _os_error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), call)
