"""Base and overlay, against a naive model that keeps every event."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from corral.model.layer import Difference, Fields, Layer

LIMIT = 10.0


@dataclass(frozen=True)
class Thing:
    size: int = 0
    colour: str = ""


def combine(_: str, base: Thing | None, fields: Fields) -> Thing | None:
    if base is None and "size" not in fields:
        return None
    return replace(base or Thing(), **fields)


def layer() -> Layer[str, Thing]:
    return Layer(limit=LIMIT, combine=combine)


def test_what_combine_looks_up_can_change() -> None:
    allowed = {1}

    def look_up(_: str, base: Thing | None, fields: Fields) -> Thing | None:
        return base or (Thing(**fields) if fields["size"] in allowed else None)

    things = Layer[str, Thing](limit=LIMIT, combine=look_up)
    assert list(things.apply("a", {"size": 1}, now=0)) == [Difference("a", None, Thing(1))]
    assert list(things.apply("b", {"size": 2}, now=0)) == []
    allowed.add(2)
    assert list(things.reconsider("colour", {2})) == []
    assert list(things.reconsider("size", {1})) == []
    assert list(things.reconsider("size", {2})) == [Difference("b", None, Thing(2))]
    allowed.remove(1)
    assert list(things.reconsider("size", {1, 2})) == [Difference("a", Thing(1), None)]


def test_differences_name_old_and_new() -> None:
    things = layer()
    assert list(things.load({"a": Thing(1)}, now=0)) == [Difference("a", None, Thing(1))]
    assert list(things.load({"a": Thing(1)}, now=0)) == []
    assert list(things.apply("a", {"size": 2}, now=1)) == [Difference("a", Thing(1), Thing(2))]
    assert list(things.load({}, now=2)) == []
    assert list(things.expire(now=11)) == [Difference("a", Thing(2), None)]
    assert things.effective == {}


@dataclass
class Naive:
    """The same by the words of its description: a list of (time, key, field, value)."""

    base: dict[str, Thing] = field(default_factory=dict)
    said: list[tuple[float, str, str, object]] = field(default_factory=list)

    def load(self, base: dict[str, Thing], now: float) -> None:
        self.base = base
        self.expire(now)
        confirmed = {
            key for key in base if all(getattr(base[key], name) == value for name, value in self.fields(key).items())
        }
        self.said = [entry for entry in self.said if entry[1] not in confirmed]

    def apply(self, key: str, fields: dict[str, object], now: float) -> None:
        self.said = [entry for entry in self.said if not (entry[1] == key and entry[2] in fields)]
        self.said += [(now, key, name, value) for name, value in fields.items()]

    def expire(self, now: float) -> None:
        self.said = [entry for entry in self.said if now - entry[0] < LIMIT]

    def fields(self, key: str) -> dict[str, object]:
        return {name: value for _, one, name, value in self.said if one == key}

    def effective(self) -> dict[str, Thing]:
        keys = self.base.keys() | {key for _, key, _, _ in self.said}
        merged = {key: combine(key, self.base.get(key), self.fields(key)) for key in keys}
        return {key: thing for key, thing in merged.items() if thing is not None}


_keys = st.sampled_from("ab")
_fields = st.fixed_dictionaries({}, optional={"size": st.integers(0, 1), "colour": st.sampled_from(["", "red"])})
_bases = st.dictionaries(_keys, st.builds(Thing, st.integers(0, 1), st.sampled_from(["", "red"])))
_steps = st.tuples(st.sampled_from([0, 1, 6]), st.one_of(_bases, st.tuples(_keys, _fields), st.none()))


@settings(max_examples=300)
@given(st.lists(_steps, max_size=12))
def test_any_history(steps: list[tuple[int, dict[str, Thing] | tuple[str, dict[str, object]] | None]]) -> None:
    things, naive, now = layer(), Naive(), 0
    for pause, step in steps:
        now += pause
        before = dict(things.effective)
        if step is None:
            differences = list(things.expire(now))
            naive.expire(now)
        elif isinstance(step, dict):
            differences = list(things.load(step, now))
            naive.load(step, now)
        else:
            naive.apply(*step, now)
            differences = list(things.apply(*step, now))
        assert things.effective == naive.effective()
        for key, old, new in differences:
            assert before.pop(key, None) == old
            assert old != new
        assert before.items() <= things.effective.items()


def test_what_events_repeat_is_looked_at_once() -> None:
    things = layer()
    for moment in range(100):
        list(things.apply("a", {"size": moment}, now=moment / 10))
    assert len(things._due) == 1
    assert list(things.expire(now=19)) == []
    assert things.effective == {"a": Thing(99)}
    assert list(things.expire(now=20)) == [Difference("a", Thing(99), None)]
    assert not things._due


def test_what_makes_no_resource_can_be_forgotten_while_nothing_lapses() -> None:
    things = layer()
    list(things.load({"known": Thing(1)}, now=0))
    for key, fields in (("gone", {"colour": "red"}), ("known", {"colour": "red"}), ("new", {"size": 2})):
        list(things.apply(key, fields, now=1))
    things.forget_idle(now=10)
    assert things.overlay().keys() == {"gone", "known", "new"}
    list(things.apply("later", {"colour": "red"}, now=15))
    things.forget_idle(now=19)
    assert things.overlay().keys() == {"gone", "known", "new", "later"}, "it looks once in a while only"
    things.forget_idle(now=20)
    assert things.overlay().keys() == {"known", "new", "later"}
    assert things.effective == {"known": Thing(1, "red"), "new": Thing(2)}
