from __future__ import annotations

from corral.wire.memory import Memory


class Translations:
    """Counts the translations that were made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> list[int]:
        self.made += 1
        return [self.made]


def test_an_equal_object_is_translated_once() -> None:
    memory, translate = Memory(), Translations()
    memory.begin()
    first = memory.translated("a", {"x": [1]}, translate)
    memory.finish()
    memory.begin()
    assert memory.translated("a", {"x": [1]}, translate) is first
    assert memory.translated("b", {"x": [1]}, translate) is not first
    memory.finish()
    memory.begin()
    assert memory.translated("a", {"x": [2]}, translate) == [3]


def test_what_a_pass_lacks_is_forgotten() -> None:
    memory, translate = Memory(), Translations()
    for names in ("ab", "b", "ab"):
        memory.begin()
        for name in names:
            memory.translated(name, 1, translate)
        memory.finish()
    assert translate.made == 3


def test_what_is_to_be_forgotten() -> None:
    memory, translate = Memory(), Translations()
    for _ in range(2):
        memory.begin()
        for name in "ab":
            memory.translated(name, 1, translate)
        memory.forget("a")
        memory.forget("unknown")
        memory.finish()
    assert translate.made == 3


def test_a_pass_that_was_broken_off_forgets_nothing() -> None:
    memory, translate = Memory(), Translations()
    for complete in (True, False, True):
        memory.begin()
        if complete:
            memory.translated("a", 1, translate)
            memory.finish()
    assert translate.made == 1
