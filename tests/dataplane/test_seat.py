"""The seat: real processes, of which one at a time has it."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from corral.dataplane.seat import NAME, WAITING, take_seat
from corral.errors import DataplaneError
from corral.sandbox.namespace import Namespace

# Says what happens to it, and holds the seat until its standard input ends.
PROGRAM = """
import sys
from corral.dataplane.seat import take_seat
def say(text): print(text, flush=True)
def tell(holder): say(f"waits for {holder.pid} of {holder.uid}" if holder else "waits for somebody")
with take_seat(tell, "\\0" + sys.argv[1]):
    say("has it")
    sys.stdin.read()
"""


@pytest.fixture
def name() -> str:
    return f"corral-test-{uuid.uuid4()}"


@contextmanager
def agent(name: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", PROGRAM, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_second_waits_until_the_first_has_ended_however_it_ends(name: str, number: signal.Signals) -> None:
    with agent(name) as first:
        assert says(first) == "has it"
        with agent(name) as second:
            assert says(second) == f"waits for {first.pid} of {os.getuid()}"
            first.send_signal(number)
            assert says(second) == "has it"


def test_of_several_that_wait_one_gets_it_and_the_others_go_on_waiting(name: str) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(agent(name))
        assert says(first) == "has it"
        others = [stack.enter_context(agent(name)) for _ in range(3)]
        for other in others:
            assert says(other).startswith(f"waits for {first.pid}")
        first.kill()
        while others:
            (told,) = _who_say_something(others, 10)
            assert says(told) == "has it"
            others.remove(told)
            assert not _who_say_something(others, 0.2)
            told.kill()


def _who_say_something(waiting: list[subprocess.Popen[str]], patience: float) -> list[subprocess.Popen[str]]:
    with selectors.DefaultSelector() as chosen:
        for process in waiting:
            assert process.stdout is not None
            chosen.register(process.stdout, selectors.EVENT_READ)
        heard = [key.fileobj for key, _ in chosen.select(patience)]
        return [process for process in waiting if process.stdout in heard]


def test_a_crowd_in_front_of_the_seat_does_not_hide_that_it_is_free(name: str) -> None:
    """Whoever shares the namespace can connect; one that finds no place in the queue looks now and then."""
    with agent(name) as first, ExitStack() as stack:
        assert says(first) == "has it"
        for _ in range(WAITING + 1):
            stranger = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            stranger.setblocking(False)
            stranger.connect("\0" + name)
        with agent(name) as second:
            assert says(second) == "waits for somebody"
            first.kill()
            assert says(second) == "has it"


def test_who_has_gone_again_takes_no_place(name: str) -> None:
    """The kernel's queue keeps them until they are received: after some restarts nobody else could wait."""
    with take_seat(lambda holder: pytest.fail(str(holder)), "\0" + name) as seat, ExitStack() as stack:
        for _ in range(3 * WAITING):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as passer_by:
                passer_by.setblocking(False)
                passer_by.connect("\0" + name)
            seat.receive()
        others = [stack.enter_context(agent(name)) for _ in range(2)]
        for other in others:
            assert says(other) == f"waits for {os.getpid()} of {os.getuid()}"
            seat.receive()
        assert not _who_say_something(others, 0.2)
        seat.close()
        assert [says(who) for who in _who_say_something(others, 10)] == ["has it"]


def test_each_network_namespace_has_its_own() -> None:
    places = [Namespace.create() for _ in range(2)]
    try:
        with ExitStack() as stack:
            for place in places:
                with place:
                    stack.enter_context(take_seat(lambda holder: pytest.fail(f"{holder} has it"), NAME))
    finally:
        for place in places:
            place.close()


SQUATTER = """
import os, socket, sys
seat = socket.socket(socket.AF_UNIX)
seat.bind("\\0" + sys.argv[1])
if sys.argv[2] == "listens":
    seat.listen(1)
os.setuid(65534)
if sys.argv[2] == "listens":
    seat.listen(1)  # whose peers are told who calls it last
print("has it", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["listens", "is silent"])
def test_who_may_be_no_agent_is_not_waited_for_longer_than_an_agent_takes_to_end(
    name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corral.dataplane.seat.PATIENCE", 0.2)
    command = [sys.executable, "-c", SQUATTER, name, how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as squatter:  # noqa: S603
        assert says(squatter) == "has it"
        told: list[Any] = []
        with pytest.raises(DataplaneError, match="somebody who may be no agent"):
            take_seat(told.append, "\0" + name)
        assert [holder.uid for holder in told] == ([65534] if how == "listens" else [])
        squatter.kill()
    take_seat(told.append, "\0" + name).close()


def test_where_such_a_socket_is_forbidden_it_is_told() -> None:
    with pytest.raises(DataplaneError, match="Unix sockets are forbidden here"):
        take_seat(lambda holder: pytest.fail(str(holder)), "/nowhere/corral")
