from __future__ import annotations

from corral.sandbox.blueprint import Blueprint, ServiceSpec, StackSpec, StandaloneSpec


def test_specs_have_nothing_by_default_and_share_nothing() -> None:
    one, other = ServiceSpec(name="one"), ServiceSpec(name="other")
    assert one.labels == {}
    assert one.labels is not other.labels
    assert one.scale == 1


def test_blueprints_are_values() -> None:
    def make() -> Blueprint:
        return Blueprint(
            stacks=(StackSpec("a", (ServiceSpec(name="b"),)),),
            standalone=(StandaloneSpec(name="c", labels={"d": "e"}),),
        )

    assert make() == make()
