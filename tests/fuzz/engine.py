"""The coverage-guided engine: libFuzzer, by atheris, with mutations that know JSON."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from .mutation import mutated
from .target import Target

REGRESSIONS = Path(__file__).parent / "regressions"
FOUND = Path(__file__).parents[2] / "build" / "fuzz"
LONGEST = 200_000

MISSING = (
    "coverage-guided fuzzing needs atheris, which requirements.lock has for x86_64 and Python before 3.14 only "
    f"(this is {platform.machine()} and Python {platform.python_version()}): run it there. "
    "`--replay FILE` and the tests by hypothesis need no atheris."
)


def replay(target: str, path: Path) -> None:
    """Run one input; what it breaks is raised."""
    _target(target).run(path.read_bytes())


def _target(name: str) -> Target:
    """Imported late: the fuzzer instruments what is imported, and the trap does without the rest."""
    if name == "trap":
        from .trap import TRAP

        return TRAP
    from .targets import TARGETS

    return TARGETS[name]


@dataclass(frozen=True)
class Budget:
    """`seed` is libFuzzer's, and 0 another one each time; `each` and `mebibytes` limit what one input may cost.

    Ordinary ones take some 30 ms, on a busy machine a second.
    """

    seconds: int = 60
    seed: int = 0
    each: int = 20
    mebibytes: int = 1024


def fuzz(name: str, budget: Budget, *, inputs: Path, artifacts: Path) -> str:
    """Fuzz until the time is over, which ends the process; an input that breaks something is left in `artifacts`.

    Returns only if it can not, with the reason.
    """
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        return MISSING
    with atheris.instrument_imports(include=["corral"]):
        target = _target(name)
    artifacts.mkdir(parents=True, exist_ok=True)
    _plant(inputs, [*target.seeds(), *(path.read_bytes() for path in sorted((REGRESSIONS / name).glob("*")))])
    options = {
        "max_total_time": budget.seconds,
        "timeout": budget.each,
        "rss_limit_mb": budget.mebibytes,
        "max_len": LONGEST,
        "len_control": 0,
        "seed": budget.seed,
        "artifact_prefix": f"{artifacts}/",
        "print_final_stats": 1,
    }
    arguments = [sys.argv[0], *(f"-{option}={value}" for option, value in options.items()), str(inputs)]
    # Its own mutator is there only once it runs.
    mutator = _mutator(target, lambda data, size: bytes(atheris.Mutate(data, size)))
    atheris.Setup(arguments, target.run, custom_mutator=mutator)
    atheris.Fuzz()
    raise AssertionError("libFuzzer has returned")


def _plant(inputs: Path, texts: Iterable[bytes]) -> None:
    inputs.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (inputs / f"seed-{number}").write_bytes(text)


Mutator = Callable[[bytes, int, int], bytes]


def _mutator(target: Target, by_bytes: Callable[[bytes, int], bytes]) -> Mutator:
    """Mostly ours, which keeps JSON JSON; sometimes libFuzzer's own, which knows what the code compares with."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)  # noqa: S311 - to be repeated, not to be secret
        if data and random.random() < 0.8:
            text = mutated(data, random, lines=target.lines)
            if 0 < len(text) <= max_size:
                return text
        return by_bytes(data, max_size)

    return mutate
