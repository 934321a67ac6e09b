"""Stands in for a process for a moment: ties its life to the parent's, gives up capabilities, and becomes it.

Run by path, with nothing imported but the standard library:
    python -I -S launch.py PARENT CAPABILITY,…|all COMMAND…
"""

import ctypes
import os
import signal
import sys

CAP_NET_ADMIN = 12
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24


def main(arguments: list[str]) -> None:
    """Replace this process by the command."""
    parent, kept, *command = arguments
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # it died before we could ask to be told
        sys.exit(1)
    if kept != "all":
        _drop_all_but({int(number) for number in kept.split(",")}, libc)
    os.execv(command[0], command)  # noqa: S606


def _drop_all_but(kept: set[int], libc: ctypes.CDLL) -> None:
    """Root gets at exec what its bounding set holds, so that is all there is to reduce."""
    number = 0
    while libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        if number not in kept:
            libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
        number += 1


if __name__ == "__main__":
    main(sys.argv[1:])
