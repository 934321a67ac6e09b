"""A virtual machine with a kernel of its own, made of this machine's programs, in which one command is run."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.oldkernels.archive import pack
from tests.oldkernels.packages import KEPT, ROOT, Kernel

INIT = Path(__file__).with_name("init")
# With KVM a kernel is up, and has missed its root file system, within a second or two.
_TRIAL = 10  # seconds
_PROCESSORS = 2
_MEMORY = 3072  # MiB
# Mitigations cost a lot when emulated, and so does any clock but the processor's own.
_CHOICES = "console=ttyS0 quiet panic=-1 oops=panic mitigations=off tsc=reliable clocksource=tsc random.trust_cpu=on"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the command ended: `status` is None where the guest did not get to its end."""

    status: int | None
    output: str
    console: str


def run(kernel: Kernel, command: Iterable[str], *, timeout: float, without: Collection[str] = ()) -> Outcome:
    """Boot the kernel, run the command in the project's directory as root, and end; `timeout` in seconds.

    The guest lacks the modules that `without` names. What it printed stays in build/kernels/SERIES/run.
    """
    place = KEPT / kernel.series / "run"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    pack(kernel, {"/init": INIT.read_bytes(), "/job": _job(command).encode()}, place / "initramfs", without)
    ports = [part for name in ("console", "output", "status") for part in ("-serial", f"file:{place / name}")]
    try:
        _qemu(kernel, *accelerator(kernel), *ports, "-initrd", str(place / "initramfs"), timeout=timeout)
    except subprocess.TimeoutExpired:
        (place / "status").unlink(missing_ok=True)
    (place / "initramfs").unlink()
    status = _text(place / "status").strip()
    return Outcome(int(status) if status else None, _text(place / "output"), _text(place / "console"))


def accelerator(kernel: Kernel) -> tuple[str, ...]:
    """KVM if it runs a kernel here, found by trying: a /dev/kvm for kernels that were made for it runs no others."""
    return _accelerator(str(kernel.image))


@functools.cache
def _accelerator(image: str) -> tuple[str, ...]:
    kvm = ("-accel", "kvm", "-cpu", "host")
    console = KEPT / f"kvm-{os.getpid()}"
    try:
        _start(image, *kvm, "-serial", f"file:{console}", timeout=_TRIAL)
        works = "Kernel panic" in _text(console)
    except subprocess.TimeoutExpired:
        works = False
    finally:
        console.unlink(missing_ok=True)
    # Without AVX, that is: the C library would use it, and emulated it is slower than what it replaces.
    return kvm if works else ("-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "Nehalem,+rdrand")


def _qemu(kernel: Kernel, *more: str, timeout: float) -> None:
    _start(str(kernel.image), "-smp", str(_PROCESSORS), *more, timeout=timeout)


def _start(image: str, *more: str, timeout: float) -> None:
    fixed = ("-m", str(_MEMORY), "-nodefaults", "-display", "none", "-no-reboot")
    command = ["qemu-system-x86_64", *fixed, "-kernel", image, "-append", _CHOICES, *more]
    subprocess.run(  # noqa: S603
        command, timeout=timeout, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _job(command: Iterable[str]) -> str:
    facts = {
        "project": str(ROOT),
        "path": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "command": shlex.join(command),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in facts.items())


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
