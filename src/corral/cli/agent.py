"""`corral agent`: the daemon."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from corral.config import load_settings
from corral.daemon.collector import spare_the_start
from corral.dataplane.host.capability import raise_net_admin


def agent(
    metadata_url: Annotated[str | None, typer.Option(help="Metadata service.", show_default=False)] = None,
    ca_file: Annotated[str | None, typer.Option(help="PEM bundle for a Rancher server with its own CA.")] = None,
    listen: Annotated[str | None, typer.Option(help="Health endpoint, host:port.")] = None,
    health_listen: Annotated[
        str | None, typer.Option(help="host:port for health checks from elsewhere.", show_default=False)
    ] = None,
    mode: Annotated[str | None, typer.Option(help="enforce, audit (count and report, drop nothing) or off.")] = None,
    unknown_endpoints: Annotated[str | None, typer.Option(help="default or allow.")] = None,
    on_stale: Annotated[str | None, typer.Option(help="keep or open.")] = None,
    stale_after: Annotated[str | None, typer.Option(help="A duration such as 10m.")] = None,
    on_exit: Annotated[str | None, typer.Option(help="keep or remove the table on SIGTERM.")] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    loop: Annotated[str | None, typer.Option(help="uvloop or asyncio.")] = None,
) -> None:
    """Watch Rancher, compile the policy, enforce it in this network namespace, serve the health endpoint.

    Each option can also be given by its CORRAL_* variable.
    """
    flags = {
        "metadata_url": metadata_url,
        "ca_file": ca_file,
        "listen": listen,
        "health_listen": health_listen,
        "mode": mode,
        "unknown_endpoints": unknown_endpoints,
        "on_stale": on_stale,
        "stale_after": stale_after,
        "on_exit": on_exit,
        "log_format": log_format,
        "log_level": log_level,
        "loop": loop,
    }
    _stop_until_the_loop_listens()
    settings = load_settings(os.environ, flags)
    spare_the_start()
    raise_net_admin()
    from corral.daemon.agent import run_agent  # noqa: PLC0415 - commands that ask an agent do without the daemon

    run_agent(settings)


def _stop_until_the_loop_listens() -> None:
    """Imports take a second, and another agent may have to end first.

    As process 1 of a container, nobody would heed a signal meanwhile; elsewhere one that only asks for something would
    end the process.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
