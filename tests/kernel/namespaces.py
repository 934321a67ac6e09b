"""Network namespaces without names: nothing is left of one when it is closed, nor when the test process dies."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)} (these tests need root, or CAP_SYS_ADMIN)")


def _current() -> int:
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _unshared() -> int:
    before = _current()
    try:
        _call(_LIBC.unshare(_NEW_NETWORK), "unshare")
        created = _current()
        _call(_LIBC.setns(before, _NEW_NETWORK), "setns")
    finally:
        os.close(before)
    return created


class Namespace:
    """A network namespace, by default a new one with its loopback up."""

    def __init__(self, handle: int | None = None) -> None:
        self._handle = _unshared() if handle is None else handle
        if handle is None:
            self.run("ip link set lo up")

    @classmethod
    def here(cls) -> Self:
        """The one that the calling thread is in."""
        return cls(_current())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    @property
    def path(self) -> str:
        """By which other processes can find it, while this one lives."""
        return f"/proc/{os.getpid()}/fd/{self._handle}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread, and what it starts meanwhile, is in the namespace."""
        before = _current()
        try:
            _call(_LIBC.setns(self._handle, _NEW_NETWORK), "setns")
            yield
        finally:
            _call(_LIBC.setns(before, _NEW_NETWORK), "setns")
            os.close(before)

    def run(self, *commands: str, text: str = "") -> str:
        """Run commands in it, and return what they print; a failing one is an error with its message."""
        printed = []
        with self.entered():
            for command in commands:
                done = subprocess.run(command.split(), input=text, capture_output=True, text=True, check=False)  # noqa: S603
                assert done.returncode == 0, f"{command}: {done.stderr}"
                printed.append(done.stdout)
        return "".join(printed)


def set_bridge_filtering_everywhere(namespace: Namespace, *, on: bool) -> None:
    """The switches for all bridges; a new namespace has them on."""
    with namespace.entered():
        for switch in ("iptables", "ip6tables"):
            Path(f"/proc/sys/net/bridge/bridge-nf-call-{switch}").write_text("1" if on else "0")


@dataclass(frozen=True)
class BridgedPair:
    """Two containers on the bridge `br0` of a host; only the bridge's own switch lets the host filter them."""

    host: Namespace
    client: Namespace
    server: Namespace

    client_address = "10.42.0.2"
    server_address = "10.42.0.3"


@contextmanager
def bridged_pair() -> Iterator[BridgedPair]:
    """Two namespaces that reach each other through a third one's bridge."""
    with ExitStack() as opened:
        pair = BridgedPair(*(opened.enter_context(Namespace()) for _ in range(3)))
        pair.host.run("ip link add br0 type bridge", "ip link set br0 up")
        set_bridge_filtering_everywhere(pair.host, on=False)
        _attach(pair.host, pair.client, "client0", pair.client_address)
        _attach(pair.host, pair.server, "server0", pair.server_address)
        yield pair


def _attach(host: Namespace, container: Namespace, port: str, address: str) -> None:
    host.run(
        f"ip link add {port} type veth peer name eth0 netns {container.path}",
        f"ip link set {port} master br0 up",
    )
    container.run(f"ip address add {address}/16 dev eth0", "ip link set eth0 up")
