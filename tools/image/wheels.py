"""Writes docker/wheels.sha256: the wheels of requirements-runtime.lock for each kind of machine that the image is for.

`make lock` runs it. A package that has no wheel for one of them is an error: the image has no compiler.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MACHINES = ("x86_64", "aarch64")
PYTHON = "3.11"  # of the Debian release that the Dockerfile names
GLIBC = 36  # likewise, 2.36


def main() -> None:
    """Download all, and note the names."""
    found = set()
    for machine in MACHINES:
        with tempfile.TemporaryDirectory() as folder:
            download(machine, folder)
            found |= {(wheel.name, hashlib.sha256(wheel.read_bytes()).hexdigest()) for wheel in Path(folder).iterdir()}
    (ROOT / "docker" / "wheels.sha256").write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(found)))


def download(machine: str, folder: str) -> None:
    """The wheels for one kind of machine, checked by the hashes of the lock."""
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in range(17, GLIBC + 1)]
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    lock = str(ROOT / "requirements-runtime.lock")
    given = [f"--python-version={PYTHON}", f"--platform=manylinux2014_{machine}", *platforms, "-d", folder, "-r", lock]
    subprocess.run([*command, *given], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
