"""`corral agent`: the parts put together, their tasks owned by one group, stopped by signals."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext

import structlog
import uvloop

import corral
from corral.config import Mode, Settings
from corral.daemon.announcer import Announcer
from corral.daemon.answers.connections import ConnectionReport
from corral.daemon.answers.containers import ContainerReport
from corral.daemon.answers.deniedreport import DeniedReport, EventReport
from corral.daemon.answers.hosts import HostReport
from corral.daemon.answers.matrix import MatrixReport
from corral.daemon.answers.questions import Questions
from corral.daemon.answers.report import Report
from corral.daemon.clock import trouble_of, watch_clock
from corral.daemon.collector import spare_what_is_loaded
from corral.daemon.denialwatch import DenialWatch, PacketLog
from corral.daemon.engine import Engine
from corral.daemon.facts import BRIDGE_NOT_CHECKED, Facts
from corral.daemon.feeds import EventFeed, follow_metadata
from corral.daemon.guard import GuardedDesk
from corral.daemon.hub import EventHub
from corral.daemon.logs import LevelSwitch, configure_logs
from corral.daemon.recentlog import RECENT
from corral.daemon.rulehits import RuleHitsReport
from corral.daemon.selfcheck import SelfCheck
from corral.daemon.watch import watch_bridge, watch_foreign_changes
from corral.daemon.watchdog import Watchdog
from corral.dataplane.base import Dataplane
from corral.dataplane.flows.flowlog import FlowLog
from corral.dataplane.kernel import KernelDataplane
from corral.dataplane.seat import Holder, Seat, take_seat
from corral.errors import DataplaneError
from corral.nft.tracker import Tracker
from corral.policy.enforcement import Enforcement
from corral.sources.credentials import Credentials, tls_context
from corral.sources.events import EventSource
from corral.sources.metadata import MetadataSource
from corral.sources.rancher import RancherClient
from corral.sources.status import SourceStatus
from corral.web.connections import connections_routes
from corral.web.containers import containers_routes
from corral.web.denied import denied_routes
from corral.web.eventstream import events_routes
from corral.web.health import serve_health
from corral.web.hosts import hosts_routes
from corral.web.log import log_routes
from corral.web.matrix import matrix_routes
from corral.web.page import page_routes
from corral.web.questions import questions_routes
from corral.web.rules import rules_routes
from corral.web.server import Routes, build_app, serve

log = structlog.get_logger()

PAUSE_AFTER_ERROR = 10.0


def run_agent(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, as soon as no other agent does here.

    Raises UsageError for a setting that turns out to be unusable.
    """
    levels = configure_logs(settings.log_format, settings.log_level)
    # A thread that computes (see `selfcheck`) hands over to the loop after so many seconds, not after 5 ms each time.
    sys.setswitchinterval(0.0005)
    factory = uvloop.new_event_loop if settings.loop == "uvloop" else None
    with _seat() as seat:
        asyncio.Runner(loop_factory=factory).run(_serve(settings, levels, seat))
    # All is closed. A name look-up that hangs in a thread would hold up the exit for as long as the resolver tries.
    sys.stderr.flush()
    os._exit(0)


def _seat() -> AbstractContextManager[Seat | None]:
    """What keeps other agents waiting as long as the context lasts."""
    try:
        return take_seat(_tell_of)
    except DataplaneError as error:
        log.warning("nothing keeps another agent from starting here", error=str(error))
        return nullcontext()


def _tell_of(holder: Holder | None) -> None:
    who = {"pid": holder.pid, "uid": holder.uid} if holder else {}
    log.warning("another agent is at work in this network namespace: waiting until it ends", **who)


async def _serve(settings: Settings, levels: LevelSwitch, seat: Seat | None) -> None:
    if seat is not None:
        asyncio.get_running_loop().add_reader(seat.fileno(), seat.receive)
    async with KernelDataplane() as dataplane:
        agent = Agent(
            settings,
            dataplane,
            FlowLog(),
            loaded=spare_what_is_loaded,
            switch_level=levels.toggle,
            watchdog=Watchdog().run,
        )
        await agent.run()


Duty = Callable[[], Coroutine[object, object, None]]


class _StopError(Exception):
    """Ends the task group."""


class Agent:
    """One agent.

    `started` is called with the health endpoint's port once it listens, `loaded` after each document, `switch_level`
    on SIGUSR1. `watchdog` runs beside the other tasks, and ends the process when their loop hangs.
    """

    def __init__(
        self,
        settings: Settings,
        dataplane: Dataplane,
        packet_log: PacketLog,
        *,
        started: Callable[[int], None] | None = None,
        loaded: Callable[[], None] = lambda: None,
        switch_level: Callable[[], None] = lambda: None,
        watchdog: Duty | None = None,
    ) -> None:
        enforce = settings.mode is not Mode.OFF
        self.facts = Facts(mode_off=not enforce, bridge_error=BRIDGE_NOT_CHECKED if enforce else None)
        self.tracker = Tracker()
        self.health_port: int | None = None
        self._bridge_woken = asyncio.Event()
        self.desk = GuardedDesk(
            self.tracker,
            self.facts,
            unknown_allowed=settings.unknown_endpoints == "allow",
            enforcement=Enforcement(audit=settings.mode is Mode.AUDIT),
            network_changed=self._bridge_woken.set,
        )
        self.engine = Engine(
            dataplane,
            self.tracker,
            self.facts,
            enforceable=lambda: (self.desk.enforceable or self.facts.opened) and not self.facts.held,
        )
        self._hub = EventHub()
        self._announcer = Announcer(self._hub, self.desk, self.facts)
        self._denials = DenialWatch(packet_log, self.desk, self.facts, self._hub, changed=self.engine.wake)
        self._self_check = SelfCheck(self.desk, self.engine, self.facts)
        self._hosts = HostReport(self.desk)
        self._matrix = MatrixReport(self.desk)
        self._rule_hits = RuleHitsReport(self.desk, dataplane, settings.mode, self._matrix)
        self._settings = settings
        self._dataplane = dataplane
        self._started = started
        self._loaded = loaded
        self._switch_level = switch_level
        self._watchdog = watchdog
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
            port = await self._listen(stack)
            stack.callback(self._hub.close)
            if self._settings.mode is not Mode.OFF:
                await self._denials.open()  # before the first commit: it loads the module that the table's rules need
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

    async def _listen(self, stack: AsyncExitStack) -> int:
        """Listen as long as the stack lasts; the health endpoint's port."""
        report, listen, health = self._report(), self._settings.listen, self._settings.health_listen
        app = build_app(report, listen.host, self._routes())
        port = await stack.enter_async_context(serve(app, listen.host, listen.port))
        if health is not None:
            self.health_port = await stack.enter_async_context(serve_health(report, health))
        return port

    async def _stopped(self) -> None:
        await self._stop.wait()
        raise _StopError

    def _duties(self) -> dict[str, Duty]:
        """What is to be done for ever. Raises UsageError for a setting that turns out to be unusable."""
        settings = self._settings
        metadata = MetadataSource(settings.metadata_url, status=self._metadata)
        duties: dict[str, Duty] = {
            "metadata": lambda: follow_metadata(metadata, self.desk, self.engine, self._loaded),
            "announcer": _never_failing("announcer", self._announcer.run),
            "clock": lambda: watch_clock(settings, self.desk, self.engine, self.facts, self._metadata),
        }
        if settings.mode is Mode.OFF:
            duties["removal"] = self._keep_removed
        else:
            duties["engine"] = self.engine.run
            duties["self-check"] = self._self_check.run
            duties["denials"] = _never_failing("denials", self._denials.run)
            duties["rule hits"] = _never_failing("rule hits", self._rule_hits.run)
            duties["bridge"] = lambda: watch_bridge(self.desk, self.facts, self._bridge_woken)
            duties["foreign changes"] = lambda: watch_foreign_changes(self._dataplane, self.engine)
        if settings.has_credentials:
            duties["events"] = self._event_feed().run
        if self._watchdog is not None:
            duties["watchdog"] = self._watchdog
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
        facts, desk, tracker, dataplane = self.facts, self.desk, self.tracker, self._dataplane
        return Report(self._settings, facts, desk, tracker, dataplane, sources, self._hosts, self._matrix)

    def _routes(self) -> Routes:
        """What the parts of the agent answer."""
        return [
            *connections_routes(ConnectionReport(self._settings, self.desk)),
            *denied_routes(DeniedReport(self._settings, self.desk, self._denials)),
            *events_routes(EventReport(self._announcer)),
            *containers_routes(ContainerReport(self.desk)),
            *hosts_routes(self._hosts),
            *log_routes(RECENT),
            *matrix_routes(self._matrix),
            *page_routes(),
            *rules_routes(self._rule_hits),
            *questions_routes(Questions(self.desk, self._settings.mode, self._hosts)),
        ]

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
        loop.add_signal_handler(signal.SIGUSR1, self._switch_level)

    def _hang_up(self) -> None:
        self.engine.doubt("SIGHUP")
        self._self_check.ask()

    def _metadata_turned(self, status: SourceStatus) -> None:
        self.facts.metadata_error = trouble_of(status)

    def _events_turned(self, status: SourceStatus) -> None:
        self.facts.events_error = trouble_of(status)

    def _api_turned(self, status: SourceStatus) -> None:
        self.facts.api_error = trouble_of(status)


def _never_failing(name: str, duty: Duty) -> Duty:
    """One that only tells of what happens: a bug there is told, too, but must not end what enforces."""

    async def again_and_again() -> None:
        while True:
            try:
                await duty()
            except Exception:
                log.exception("unexpected error", task=name)
            await asyncio.sleep(PAUSE_AFTER_ERROR)

    return again_and_again


async def _for_ever(name: str, duty: Coroutine[object, object, None]) -> None:
    """A duty that returns has failed: nothing would do it any more, and nobody would know."""
    await duty
    raise RuntimeError(f"the task {name!r} ended")
