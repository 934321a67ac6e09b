"""What makes a guest is run by `make test-kernels` only: it needs qemu and kmod, and a kernel that is downloaded."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("CORRAL_GUESTS") else ["test_archive.py", "test_machine.py"]
