"""`corral agent`: the parts put together, their tasks owned by one group, stopped by signals."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack

import structlog
import uvloop

import corral
from corral.config import Mode, Settings
from corral.daemon.clock import trouble_of, watch_clock
from corral.daemon.collector import spare_what_is_loaded
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.daemon.feeds import EventFeed, follow_metadata
from corral.daemon.guard import GuardedDesk
from corral.daemon.logs import configure_logs
from corral.daemon.report import Report
from corral.daemon.selfcheck import SelfCheck
from corral.daemon.watch import watch_bridge, watch_foreign_changes
from corral.dataplane.base import Dataplane
from corral.dataplane.kernel import KernelDataplane
from corral.errors import DataplaneError
from corral.nft.tracker import Tracker
from corral.sources.credentials import Credentials, tls_context
from corral.sources.events import EventSource
from corral.sources.metadata import MetadataSource
from corral.sources.rancher import RancherClient
from corral.sources.status import SourceStatus
from corral.web.server import build_app, serve

log = structlog.get_logger()


def run_agent(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises UsageError for a setting that turns out to be unusable."""
    configure_logs(settings.log_format, settings.log_level)
    # A thread that computes (see `selfcheck`) hands over to the loop after so many seconds, not after 5 ms each time.
    sys.setswitchinterval(0.0005)
    factory = uvloop.new_event_loop if settings.loop == "uvloop" else None
    asyncio.Runner(loop_factory=factory).run(_serve(settings))
    # All is closed. A name look-up that hangs in a thread would hold up the exit for as long as the resolver tries.
    sys.stderr.flush()
    os._exit(0)


async def _serve(settings: Settings) -> None:
    async with KernelDataplane() as dataplane:
        await Agent(settings, dataplane, loaded=spare_what_is_loaded).run()


Duty = Callable[[], Coroutine[object, object, None]]


class _StopError(Exception):
    """Ends the task group."""


class Agent:
    """One agent. `started` is called with the health endpoint's port once it listens, `loaded` after each document."""

    def __init__(
        self,
        settings: Settings,
        dataplane: Dataplane,
        *,
        started: Callable[[int], None] | None = None,
        loaded: Callable[[], None] = lambda: None,
    ) -> None:
        enforce = settings.mode is not Mode.OFF
        self.facts = Facts(mode_off=not enforce, bridge_error="bridge filtering: not checked yet" if enforce else None)
        self.tracker = Tracker()
        self._bridge_woken = asyncio.Event()
        self.desk = GuardedDesk(
            self.tracker,
            self.facts,
            unknown_allowed=settings.unknown_endpoints == "allow",
            network_changed=self._bridge_woken.set,
        )
        self.engine = Engine(
            dataplane,
            self.tracker,
            self.facts,
            enforceable=lambda: (self.desk.enforceable or self.facts.opened) and not self.facts.held,
        )
        self._self_check = SelfCheck(self.desk, self.engine, self.facts)
        self._settings = settings
        self._dataplane = dataplane
        self._started = started
        self._loaded = loaded
        self._stop = asyncio.Event()
        self._metadata = SourceStatus("metadata", on_change=self._metadata_turned)
        self._events = SourceStatus("events", on_change=self._events_turned)

    def stop(self) -> None:
        """End `run`, cleanly."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until `stop` or a signal."""
        log.info("corral agent starts", version=corral.__version__, mode=str(self._settings.mode))
        self._handle_signals()
        duties = self._duties()
        async with AsyncExitStack() as stack:
            listen = self._settings.listen
            port = await stack.enter_async_context(
                serve(build_app(self._report(), listen.host), listen.host, listen.port)
            )
            if self._started:
                self._started(port)
            try:
                async with asyncio.TaskGroup() as group:
                    for name, duty in duties.items():
                        group.create_task(_for_ever(name, duty()), name=name)
                    group.create_task(self._stopped(), name="stop")
            except* _StopError:
                pass
        await self._leave()

    async def _stopped(self) -> None:
        await self._stop.wait()
        raise _StopError

    def _duties(self) -> dict[str, Duty]:
        """What is to be done for ever. Raises UsageError for a setting that turns out to be unusable."""
        settings = self._settings
        metadata = MetadataSource(settings.metadata_url, status=self._metadata)
        duties: dict[str, Duty] = {
            "metadata": lambda: follow_metadata(metadata, self.desk, self.engine, self._loaded),
            "clock": lambda: watch_clock(settings, self.desk, self.engine, self.facts, self._metadata),
        }
        if settings.mode is Mode.OFF:
            duties["removal"] = self._keep_removed
        else:
            duties["engine"] = self.engine.run
            duties["self-check"] = self._self_check.run
            duties["bridge"] = lambda: watch_bridge(self.desk, self.facts, self._bridge_woken)
            duties["foreign changes"] = lambda: watch_foreign_changes(self._dataplane, self.engine)
        if settings.has_credentials:
            duties["events"] = self._event_feed().run
        return duties

    def _event_feed(self) -> EventFeed:
        settings = self._settings
        if settings.rancher_url is None or settings.rancher_access_key is None or settings.rancher_secret_key is None:
            raise RuntimeError("an event feed needs credentials")
        secret = settings.rancher_secret_key.get_secret_value()
        credentials = Credentials.of(settings.rancher_url, settings.rancher_access_key, secret)
        tls = tls_context(settings.ca_file) if credentials.base.startswith("https:") else None
        source = EventSource(credentials, tls=tls, status=self._events)
        client = RancherClient(credentials, tls=tls, status=SourceStatus("api", on_change=self._api_turned))
        return EventFeed(source, client, self.desk, self.engine, self.facts)

    def _report(self) -> Report:
        sources = {"metadata": self._metadata}
        if self._settings.has_credentials:
            sources["events"] = self._events
        return Report(self._settings, self.facts, self.desk, self.tracker, self._dataplane, sources)

    async def _keep_removed(self) -> None:
        """Mode off: a table left by an earlier run would go on enforcing a policy that nobody updates."""
        try:
            if await self._dataplane.dump() is not None:
                await self._dataplane.delete_table()
                log.warning("table of an earlier run removed: mode is off")
        except DataplaneError as error:
            self.facts.kernel_error = str(error)
        await asyncio.Event().wait()

    async def _leave(self) -> None:
        if self._settings.on_exit == "remove":
            await self._dataplane.delete_table()
        log.info("corral agent stopped", table=self._settings.on_exit)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _hang_up(self) -> None:
        self.engine.doubt("SIGHUP")
        self._self_check.ask()

    def _metadata_turned(self, status: SourceStatus) -> None:
        self.facts.metadata_error = trouble_of(status)

    def _events_turned(self, status: SourceStatus) -> None:
        self.facts.events_error = trouble_of(status)

    def _api_turned(self, status: SourceStatus) -> None:
        self.facts.api_error = trouble_of(status)


async def _for_ever(name: str, duty: Coroutine[object, object, None]) -> None:
    """A duty that returns has failed: nothing would do it any more, and nobody would know."""
    await duty
    raise RuntimeError(f"the task {name!r} ended")
