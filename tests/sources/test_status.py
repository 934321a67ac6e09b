from __future__ import annotations

import weakref

from corral.errors import RefusedError, UnreachableError
from corral.sources.status import SourceStatus


class Recorder:
    def __init__(self) -> None:
        self.now = 100.0
        self.seen: list[tuple[bool, str]] = []

    def clock(self) -> float:
        return self.now

    def changed(self, status: SourceStatus) -> None:
        self.seen.append((status.connected, str(status.last_error)))


def test_a_status_tells_changes_only() -> None:
    recorder = Recorder()
    status = SourceStatus("metadata", clock=recorder.clock, on_change=recorder.changed)
    for step in ("down", "down", "refused", "up", "up", "down", "up", "down"):
        if step == "up":
            status.succeeded()
        else:
            status.failed(UnreachableError("down") if step == "down" else RefusedError("refused"))
    assert recorder.seen == [
        (False, "down"),
        (False, "refused"),
        (True, "refused"),
        (False, "down"),
        (True, "down"),
        (False, "down"),
    ]


def test_ages() -> None:
    recorder = Recorder()
    status = SourceStatus("metadata", clock=recorder.clock)
    assert status.age() is None
    status.succeeded()
    recorder.now += 5
    status.succeeded()
    recorder.now += 2
    assert status.age() == 2
    assert status.describe() == {
        "connected": True,
        "since": 7.0,
        "last_success": 2.0,
        "last_error": None,
        "failures": 0,
    }
    status.failed(UnreachableError("down"))
    status.failed(UnreachableError("down"))
    recorder.now += 1
    assert status.describe() == {
        "connected": False,
        "since": 1.0,
        "last_success": 3.0,
        "last_error": "down",
        "failures": 2,
    }


def test_silence_is_since_the_last_answer_and_none_while_it_is_connected() -> None:
    recorder = Recorder()
    status = SourceStatus("metadata", clock=recorder.clock)
    recorder.now += 3
    assert status.silence() == 3
    status.succeeded()
    recorder.now += 60
    assert status.silence() == 0
    status.failed(UnreachableError("down"))
    assert (status.silence(), status.unchanged_for()) == (60, 0)
    recorder.now += 5
    assert (status.silence(), status.unchanged_for()) == (65, 5)


def test_what_is_forgotten_is_told_anew() -> None:
    recorder = Recorder()
    status = SourceStatus("api", on_change=recorder.changed)
    status.forget()
    status.failed(UnreachableError("down"))
    status.forget()
    status.failed(UnreachableError("down"))
    assert recorder.seen == [(False, "down"), (False, "None"), (False, "down")]


def test_what_was_refused_is_not_kept() -> None:
    """The traceback of an error holds all that its functions held: a document of 200 MB, say."""

    class Answer:
        """As large as it likes."""

    def refused(answer: Answer) -> None:
        raise UnreachableError("no JSON")

    status, answer = SourceStatus("metadata"), Answer()
    alive = weakref.ref(answer)
    try:
        refused(answer)
    except UnreachableError as error:
        status.failed(error)
    del answer
    assert (status.last_error, alive()) == ("no JSON", None)
