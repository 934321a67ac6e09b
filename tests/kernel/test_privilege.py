"""CAP_NET_ADMIN is enough, and its lack is said."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.kernel.namespaces import Namespace

_SOURCE_ROOTS = os.pathsep.join(path for path in sys.path if path)


def run_agent(namespace: Namespace, *capabilities: str) -> subprocess.CompletedProcess[str]:
    """Run `small_agent` in the namespace with these capabilities only."""
    bounded = ",".join(["-all", *(f"+{capability}" for capability in capabilities)])
    command = [
        "setpriv",
        "--bounding-set",
        bounded,
        "--inh-caps",
        "-all",
        sys.executable,
        "-m",
        "tests.kernel.small_agent",
    ]
    with namespace.entered():
        return subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": _SOURCE_ROOTS}
        )


def test_net_admin_is_enough(namespace: Namespace) -> None:
    namespace.run("ip link add br0 type bridge")
    done = run_agent(namespace, "net_admin")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "effective 0000000000001000",  # CAP_NET_ADMIN is bit 12
        "65534 elements committed and dumped",
        "bridge filters True True",
        "noticed nft",
    ]


def test_without_it_the_error_names_it(namespace: Namespace) -> None:
    done = run_agent(namespace, "net_raw", "sys_module")
    assert done.returncode == 1
    assert "UnsupportedError" in done.stderr
    assert "CAP_NET_ADMIN" in done.stderr


@pytest.mark.parametrize("tool", ["nft", "ip", "setpriv"])
def test_the_witnesses_are_installed(tool: str) -> None:
    subprocess.run([tool, "--version" if tool != "ip" else "-V"], check=True, capture_output=True)  # noqa: S603
