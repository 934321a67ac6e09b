"""`corral bundle`: what a maintainer needs to see, in one file."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from corral.cli.asking import AgentAddress
from corral.cli.doctor import client_of, readable_settings
from corral.cli.output import say_parts
from corral.dataplane.host.capability import raise_net_admin
from corral.errors import UsageError

# From a container, whose file system is read-only: `docker exec … corral bundle --output - >FILE`.
PIPED = Path("-")


def bundle(
    output: Annotated[Path, typer.Option(help="Where to write it; - for a pipe.")] = Path("corral-bundle.tar.gz"),
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Pseudonyms for names and addresses.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    agent: AgentAddress = None,
) -> None:
    """Pack what a maintainer needs to see, without secrets, in less than 5 MB. Works without an agent, too."""
    from corral.support import bundle as bundling  # noqa: PLC0415 - `--help` does without the daemon

    piped = output == PIPED
    if piped and sys.stdout.isatty():
        raise UsageError("--output: standard output is a terminal; a file is allowed, or a pipe")
    if not piped and output.exists() and not force:
        raise _is_there(output)
    raise_net_admin()
    settings, error = readable_settings(agent)
    gathered = asyncio.run(bundling.gather(settings, client_of(settings), error, os.environ))
    clean = bundling.redacted(gathered, settings)
    if anonymous:
        clean = bundling.anonymous(clean, settings)
    packed = bundling.pack(clean, int(time.time()))
    if piped:
        sys.stdout.buffer.write(packed)
    else:
        write_privately(output, packed, overwrite=force)
    lines = [f"{output}: {len(clean.files)} files, {len(packed)} bytes; read them before you give them away"]
    for line in [*lines, *(f"  without {name}: {why}" for name, why in clean.missing.items())]:
        say_parts((line, ""), error=piped)


def write_privately(path: Path, data: bytes, *, overwrite: bool) -> None:
    """The whole file or nothing, readable by its owner only. Raises UsageError when it can not be written."""
    try:
        if not overwrite:
            path.touch(mode=0o600, exist_ok=False)  # nobody else's file is overwritten, whoever comes between
        try:
            _replace(path, data)
        except OSError:
            if not overwrite:
                path.unlink()
            raise
    except FileExistsError:
        raise _is_there(path) from None
    except OSError as error:
        raise UsageError(f"--output: {path} can not be written: {error.strerror}") from error


def _replace(path: Path, data: bytes) -> None:
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(number, "wb") as opened:
            opened.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _is_there(path: Path) -> UsageError:
    return UsageError(f"--output: {path} is there already; another name is allowed, or --force")
