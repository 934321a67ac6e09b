"""The watchdog, with real processes: what hangs ends and tells where, what was only stopped goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from corral.sandbox.namespace import Namespace

# A process with a loop under watch, which does something at its first turn. It says `turns` for each line it is told.
PROGRAM = """
import asyncio, os, re, select, sys, time
import uvloop
from corral.daemon.logs import configure_logs
from corral.daemon.watchdog import Watchdog

def wait_in_the_loop():
    select.select([], [], [], 60)

def hold_the_interpreter():
    re.match(r"(a+)+$", "a" * 64 + "b")

def compute_where_another_does():
    '''A twentieth of a second, for which it needs seconds, on a processor that it shares and is of little weight on.'''
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.nice(10)
    began, used = time.monotonic(), time.thread_time()
    while time.thread_time() - used < 0.1:
        pass
    took = time.monotonic() - began
    print("starved" if took > 0.5 else f"took {took} s", flush=True)

def nothing():
    pass

async def main():
    loop = asyncio.get_running_loop()
    answer = lambda: print("turns" if sys.stdin.readline().strip() else "", flush=True)
    loop.add_reader(0, answer)
    async with asyncio.TaskGroup() as group:
        group.create_task(Watchdog(interval=0.05, misses=4, alarm=float(sys.argv[2])).run(), name="watchdog")
        print("begins", flush=True)
        loop.call_later(0.02, globals()[sys.argv[1]])

configure_logs("json", "info")
asyncio.Runner(loop_factory=uvloop.new_event_loop if sys.argv[3] == "uvloop" else None).run(main())
"""


@contextmanager
def watched(
    doing: str, *, alarm: float = 60, loop: str = "uvloop", stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", PROGRAM, doing, str(alarm), loop],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            yield process
        finally:
            process.kill()


def turns(process: subprocess.Popen[str]) -> bool:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("?\n")
    process.stdin.flush()
    return process.stdout.readline() == "turns\n"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_loop_that_hangs_ends_the_process_and_tells_where(loop: str) -> None:
    with watched("wait_in_the_loop", loop=loop) as process:
        _, said = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "the event loop hangs" in said
        assert "in wait_in_the_loop" in said
        assert "in _watch" in said  # the stacks of all threads


def test_code_that_never_lets_go_of_the_interpreter_is_ended_by_its_alarm() -> None:
    with watched("hold_the_interpreter", alarm=0.5) as process:
        _, said = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "in hold_the_interpreter" in said


def test_a_loop_that_turns_is_left_alone() -> None:
    with watched("nothing") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert turns(process)


def test_a_process_that_was_stopped_goes_on() -> None:
    """Stopped for five times as long as a loop may hang: a minute of standing still is no minute of hanging."""
    with watched("nothing") as process:
        assert turns(process)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGCONT)
        assert turns(process)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert turns(process)


# Keeps busy the processor that the program above takes, too.
OTHER = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(flush=True)
began = time.monotonic()
while time.monotonic() - began < 60:
    pass
"""


@contextmanager
def a_busy_processor() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", OTHER], stdout=subprocess.PIPE) as other:  # noqa: S603
        try:
            assert other.stdout is not None
            other.stdout.readline()
            yield
        finally:
            other.kill()


def test_a_loop_that_has_to_wait_for_a_processor_is_left_alone() -> None:
    """As on a host that is overloaded, where a new process would fare no better."""
    with a_busy_processor(), watched("compute_where_another_does") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "starved\n"
        assert turns(process)


def test_standard_error_that_nobody_reads_does_not_keep_it_alive() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, b"x" * 4096):
            pass
    os.set_blocking(writing, True)
    with watched("wait_in_the_loop", stderr=writing) as process:
        assert process.wait(20) == 1
    os.close(writing)
    os.close(reading)


# A whole agent, of which a signal makes the loop hang.
AGENT = """
import os, select
import corral.daemon.agent as agent
from corral.config import load_settings
from corral.daemon.logs import LevelSwitch
from corral.daemon.watchdog import Watchdog

def hang(switch):
    select.select([], [], [], 60)

LevelSwitch.toggle = hang
agent.Watchdog = lambda: Watchdog(interval=0.05, misses=4)
agent.run_agent(load_settings(os.environ))
"""


def test_an_agent_is_watched() -> None:
    place = Namespace.create()
    variables = {name: value for name, value in os.environ.items() if not name.startswith("CORRAL_")}
    with place:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", AGENT],
            env={**variables, "CORRAL_MODE": "off", "CORRAL_METADATA_URL": "http://127.0.0.1:1"},
            stderr=subprocess.PIPE,
            text=True,
        )
    with process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            assert "corral agent starts" in said
            assert "mode is off" in process.stderr.readline()  # from a task of the loop
            process.send_signal(signal.SIGUSR1)
            _, said = process.communicate(timeout=20)
            assert process.returncode == 1
            assert "in hang" in said
        finally:
            process.kill()
            place.close()
