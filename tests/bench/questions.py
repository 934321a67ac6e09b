"""What operators ask of a large environment: the whole matrix, what another policy changes, how to allow a flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time

from corral.daemon.answers.cells import matrix_document
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.nft.tracker import Tracker
from corral.policy.change import compare_policies
from corral.policy.lint import lint_matrix
from corral.policy.matrix import matrix_of
from corral.policy.profiles import profiles_of
from corral.policy.suggest import suggest
from corral.policy.validate import parse_policy
from corral.policy.verdict import Scene, judge
from corral.types import Action, Flow, Protocol
from corral.wire.metadata import SnapshotDecoder

from .report import Row, micro, percentile
from .world import POLICY, World, size_of, world_of

_CONTAINERS = 5000
_RULES = 20
_ANSWER, _PLAN = 0.2, 2.0  # seconds
_PORT = 5999


@dataclass(frozen=True)
class _Work:
    name: str
    what: str
    target: float
    run: Callable[[], object]


def measure_questions(*, quick: bool) -> list[Row]:
    """In seconds of processor time: each is asked once in a while, of an agent that has other things to do."""
    world = world_of(size_of(500 if quick else _CONTAINERS))
    return [_measured(work, world, 3 if quick else 15) for work in _works(world)]


def _measured(work: _Work, world: World, count: int) -> Row:
    samples = []
    for _ in range(count):
        started = process_time()
        work.run()
        samples.append(process_time() - started)
    size = f"{world.size.containers:,} containers, {world.size.services:,} services, {_RULES} rules"
    p50, p99 = percentile(samples, 50), percentile(samples, 99)
    return Row(
        work.name,
        f"{work.what}: {size}",
        micro(p50),
        micro(p99),
        target=f"≤ {work.target} s",
        met=p99 <= work.target,
        note="processor time",
    )


def _works(world: World) -> list[_Work]:
    scene, desk = _scene(world)
    endpoints, containers = dict(scene.endpoints), dict(desk.inventory.containers)
    edited = parse_policy([*rules()[:-1], {"between": {"groupBy": "team"}, "action": "allow"}], "deny")
    denied = _denied(scene)

    def whole() -> object:
        matrix = matrix_of(scene.policy, profiles_of(endpoints, containers, [scene.policy]))
        return matrix_document(matrix, endpoints)

    def warnings() -> object:
        matrix = matrix_of(scene.policy, profiles_of(endpoints, containers, [scene.policy]))
        return lint_matrix(matrix, endpoints)

    def change() -> object:
        found = compare_policies(endpoints, containers, scene.policy, edited)
        return found.opened.groups(), found.closed.groups(), list(found.opened), list(found.closed)

    return [
        _Work("matrix", "the whole matrix as a document", _ANSWER, whole),
        _Work("warnings", "warnings about the policy", _ANSWER, warnings),
        _Work("change", "what another policy opens and closes, every pair and all groups", _PLAN, change),
        _Work("suggest", "how to allow a denied flow", _ANSWER, lambda: suggest(scene, containers, denied)),
    ]


def rules() -> list[object]:
    """A long policy; most rules are about single ports of single tiers."""
    tiers = ("web", "app", "db", "cache", "queue")
    about_ports = [
        {
            "from": {"selector": f"tier={tiers[number % 5]}"},
            "to": {"selector": f"tier={tiers[number // 5]}, team in (team{number % 10}, team{number % 7})"},
            "ports": [f"{8000 + number}/tcp"],
            "action": "deny" if number % 4 == 3 else "allow",
        }
        for number in range(_RULES - len(POLICY))
    ]
    return [*POLICY, *about_ports]


def _scene(world: World) -> tuple[Scene, Desk]:
    desk = Desk(Tracker(), Facts(), unknown_allowed=False)
    desk.load(SnapshotDecoder().decode(world.document()), 0.0)
    scene = desk.scene()
    if scene is None:
        raise RuntimeError("the world has no network or no policy")
    return Scene(parse_policy(rules(), "deny"), scene.subnets, dict(scene.endpoints)), desk


def _denied(scene: Scene) -> Flow:
    """A flow between two stacks, to a port that no rule names."""
    client, *servers = scene.endpoints
    for server in servers:
        flow = Flow(client, server, Protocol.TCP, _PORT)
        if judge(scene, flow).action is Action.DENY:
            return flow
    raise RuntimeError("the policy denies nothing")
