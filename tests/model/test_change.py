from __future__ import annotations

from corral.model.change import Change
from tests.model.builders import address


def test_a_change_is_true_when_anything_changed() -> None:
    assert not Change()
    assert Change(endpoints={address("10.42.0.2"): None})
    assert Change(network=True)
    assert Change(problems=True)
