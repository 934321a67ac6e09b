"""Runs the tests of this folder on a host and with a Docker engine of their own: `python -m tests.docker [FOR PYTEST]`.

The host is a network, a mount and a process namespace: every bridge, rule, mount and process of the engine is in there,
and the kernel ends them with the first process in it, however the tests end. An engine that runs on this machine
neither sees it nor is seen.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corral.sandbox import launch
from corral.sandbox.topology import METADATA_ADDRESS, SERVER_ADDRESS, host_address, require_bridge_netfilter

from .engine import CGROUP, CGROUPS, DATA, OUTSIDE, has_own_host, network
from .waiting import POLL

SIGNALLED = 128
ENDING = 20.0  # seconds that the kernel may take to end what was killed
NAMESPACES = ("--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


def main(arguments: list[str]) -> int:
    """The exit status of pytest, or 1 when something is left."""
    if has_own_host():
        require_bridge_netfilter()
        settle_in()
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])  # noqa: S606
    with alone():
        return run_and_look(arguments)


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other run of this tree uses the files."""
    DATA.parent.mkdir(exist_ok=True)
    with DATA.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_and_look(arguments: list[str]) -> int:
    """Run the tests, then see what is left."""
    before = tables()
    remove_files()
    status = run(arguments)
    deadline = time.monotonic() + ENDING
    while (left := [*processes(), *mounts()]) and time.monotonic() < deadline:
        select.select((), (), (), POLL)
    left += [f"table {table}" for table in tables() ^ before]
    remove_files()
    left += [str(path) for path in (DATA, *cgroups()) if path.exists()]
    for each in left:
        print(f"left behind: {each}", file=sys.stderr)  # noqa: T201
    return status or bool(left)


def run(arguments: list[str]) -> int:
    """Run this module again, inside; it ends with this process."""
    tied = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "all"]
    inside = [_path("tini"), "--", sys.executable, "-m", str(__package__)]
    process = subprocess.Popen(  # noqa: S603
        [*tied, _path("unshare"), *NAMESPACES, *inside, *arguments], env={**os.environ, OUTSIDE: network()}
    )
    signal.signal(signal.SIGTERM, lambda *_: process.kill())
    try:
        status = process.wait()
        return status if status >= 0 else SIGNALLED - status
    except KeyboardInterrupt:  # pytest has it, too, and comes to an end
        process.wait()
        return SIGNALLED + signal.SIGINT


def settle_in() -> None:
    """A /run of our own, without anybody's sockets; addresses of the host, its metadata service and Rancher."""
    for command in (
        "mount -t tmpfs tmpfs /run",
        "ip link set lo up",
        *(f"ip address add {address}/32 dev lo" for address in (METADATA_ADDRESS, SERVER_ADDRESS, host_address(0))),
    ):
        name, *rest = command.split()
        subprocess.run([_path(name), *rest], check=True)  # noqa: S603
    # Docker turns it on, and then drops what it does not forward itself.
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    # A new namespace has these on: a host where only the bridge's own switch helps is the harder case.
    for switch in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        Path("/proc/sys/net/bridge", switch).write_text("0")


def processes() -> list[str]:
    """What still runs of the engine, containers and their shims included."""
    return [
        f"process {directory.name}: {words}"
        for directory in Path("/proc").glob("[0-9]*")
        if (words := _words(directory)) and (str(DATA) in words or CGROUP in _text(directory / "cgroup"))
    ]


def mounts() -> list[str]:
    """What is mounted of it."""
    return [f"mount {line}" for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(DATA) in line]


def tables() -> set[tuple[str, str]]:
    """The nftables tables of this machine."""
    listed = subprocess.run([_path("nft"), "-j", "list", "tables"], capture_output=True, check=True)  # noqa: S603
    entries = [entry["table"] for entry in json.loads(listed.stdout)["nftables"] if "table" in entry]
    return {(entry["family"], entry["name"]) for entry in entries}


def cgroups() -> list[Path]:
    """The engine's, the innermost first: processes go with their namespace, but not the groups that they were in."""
    tops = [top for top in (CGROUPS / CGROUP, *CGROUPS.glob(f"*/{CGROUP}")) if top.is_dir()]
    inner = [path for top in tops for path in top.rglob("*") if path.is_dir()]
    return [*sorted(inner, key=lambda path: len(path.parts), reverse=True), *tops]


def remove_files() -> None:
    """The engine's data, and the groups."""
    shutil.rmtree(DATA, ignore_errors=True)
    for group in cgroups():
        group.rmdir()


def _path(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        sys.exit(f"{name} is needed: `make test-docker` installs it")
    return found


def _words(directory: Path) -> str:
    return _text(directory / "cmdline").replace("\0", " ")


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:  # it has just ended
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
