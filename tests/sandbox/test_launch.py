from __future__ import annotations

import os
import re
import subprocess
import sys

from corral.sandbox import launch

SHOW = "print(open('/proc/self/status').read())"


def start(parent: int, kept: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(parent), kept]
    return subprocess.run(  # noqa: S603
        [*launcher, sys.executable, "-c", SHOW], capture_output=True, text=True, check=False
    )


def effective(text: str) -> int:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", text, re.MULTILINE)
    assert found is not None
    return int(found[1], 16)


def test_keeps_what_it_is_told_and_no_more() -> None:
    assert effective(start(os.getpid(), "12").stdout) == 1 << launch.CAP_NET_ADMIN
    assert effective(start(os.getpid(), "all").stdout) > 1 << launch.CAP_NET_ADMIN


def test_does_not_start_for_a_dead_parent() -> None:
    done = start(1 << 22, "all")
    assert (done.returncode, done.stdout) == (1, "")
