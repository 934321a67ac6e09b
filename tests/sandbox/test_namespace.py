from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from corral.errors import UnsupportedError
from corral.sandbox.namespace import OWN_NAMESPACE, Namespace

SOURCE = Path(__file__).parents[2] / "src"
BUILD_AND_WAIT = """
import subprocess, sys, os
from corral.sandbox import launch
from corral.sandbox.topology import Topology
topology = Topology(["10.42.1.1", "10.42.2.1"])
topology.add_container(0, "10.42.1.2")
with topology.containers["10.42.1.2"]:
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "all"]
    child = subprocess.Popen([*launcher, sys.executable, "-c", "import signal; print(flush=True); signal.pause()"],
                             stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
input()
"""
ENTER = """
import os, socket, sys
from corral.sandbox.namespace import enter_sandbox
before = os.readlink("/proc/self/ns/net")
if sys.argv[1] != "root":
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    import ctypes
    ctypes.CDLL(None).prctl(4, 1)  # stay able to write our own /proc files
users = os.readlink("/proc/self/ns/user")
assert enter_sandbox() is (os.readlink("/proc/self/ns/user") != users)
print(os.geteuid(), os.readlink("/proc/self/ns/net") != before, [name for _, name in socket.if_nameindex()])
from corral.sandbox.namespace import Namespace
Namespace.create().close()
"""
FORBIDDEN = """
from pathlib import Path
from corral.errors import UnsupportedError
from corral.sandbox.namespace import enter_sandbox
Path("/proc/sys/user/max_net_namespaces").write_text("0")
try:
    enter_sandbox()
except UnsupportedError as error:
    print(error)
"""


def own() -> str:
    return str(Path(OWN_NAMESPACE).readlink())


def run(script: str, *arguments: str, prefix: tuple[str, ...] = ()) -> str:
    done = subprocess.run(  # noqa: S603
        [*prefix, sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_enters_and_leaves() -> None:
    home = own()
    namespace = Namespace.create()
    with namespace:
        inside = own()
        assert next(name for _, name in socket.if_nameindex()) == "lo"
    assert inside != home
    assert own() == home
    namespace.close()


def test_nests_and_leaves_after_an_error() -> None:
    home, one, other = own(), Namespace.create(), Namespace.create()
    with suppress(ZeroDivisionError), one:
        first = own()
        with other:
            assert own() not in (home, first)
        assert own() == first
        with other:
            raise ZeroDivisionError
    assert own() == home
    one.close()
    other.close()


def test_other_threads_stay_where_they_are() -> None:
    home, namespace = own(), Namespace.create()
    with ThreadPoolExecutor(1) as before, ThreadPoolExecutor(1) as inside:
        assert before.submit(own).result() == home
        with namespace:
            assert before.submit(own).result() == home
            assert inside.submit(own).result() == own() != home
    namespace.close()


def test_sockets_stay_in_the_namespace_that_they_were_made_in() -> None:
    one, other = Namespace.create(), Namespace.create()
    for namespace in (one, other):
        with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("0.0.0.0", 80))  # noqa: S104
            assert not listener.getblocking()
    one.close()
    other.close()


def test_writes_sysctls_inside_only() -> None:
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    outside = forward.read_text()
    namespace = Namespace.create()
    for value in (0, 1):
        namespace.write_sysctl("net/ipv4/ip_forward", value)
        with namespace:
            assert forward.read_text() == f"{value}\n"
    assert forward.read_text() == outside
    with pytest.raises(UnsupportedError, match="no_such_thing"):
        namespace.write_sysctl("net/ipv4/no_such_thing", 1)
    namespace.close()


def test_entering_a_closed_namespace_fails_and_changes_nothing() -> None:
    home, namespace = own(), Namespace.create()
    namespace.close()
    namespace.close()
    with pytest.raises(OSError, match="setns"), namespace:
        pass
    assert own() == home


def test_nothing_is_left_after_kill_9() -> None:
    def named() -> tuple[list[str], int]:
        folder = Path("/run/netns")
        return sorted(map(str, folder.iterdir())) if folder.is_dir() else [], len(socket.if_nameindex())

    before = named()
    builder = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", BUILD_AND_WAIT],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert builder.stdout is not None
    assert builder.stdin is not None
    child = int(builder.stdout.readline())
    watch = os.pidfd_open(child)
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    ended = select.select([watch], [], [], 10)[0]
    if not ended:
        signal.pidfd_send_signal(watch, signal.SIGKILL)
    os.close(watch)
    assert ended, "the process inside outlives us"
    builder.stdin.close()
    builder.stdout.close()
    assert named() == before


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_enter_sandbox_makes_us_root_of_a_private_network(user: str) -> None:
    root, private, links = run(ENTER, user).split(" ", 2)
    assert (root, private) == ("0", "True")
    assert "'lo'" in links
    assert "veth" not in links


def test_enter_sandbox_names_the_remedy() -> None:
    told = run(FORBIDDEN, prefix=("unshare", "--user", "--map-root-user"))
    assert "max_user_namespaces" in told
