"""The metadata service's root document, translated into a snapshot."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import MsgspecError, ValidationError
from msgspec.json import Decoder

from corral.errors import UnreachableError
from corral.model.entities import OWN_ENVIRONMENT, Environment, Snapshot, Stack
from corral.types import Problem
from corral.wire.environment import EnvironmentReader, Harvest
from corral.wire.fields import SHOWN_CHARACTERS, shown
from corral.wire.memory import Memory
from corral.wire.nested import ENVIRONMENT, SECTIONS, UNREADABLE, field_of, text_in, text_of
from corral.wire.objects import read_environment
from corral.wire.reading import Read
from corral.wire.splitting import NEW, Outline, Parts, Section, Text, split

_json = Decoder(Any)
# What is longer is shown as it was sent, rather than decoded in order to be shown.
_LONG = 4096


class SnapshotDecoder:
    """Decodes one document after another; objects that did not change keep their identity (`is`)."""

    def __init__(self) -> None:
        self._before = Snapshot()
        self._memories: dict[str, Memory] = {}

    def decode(self, document: bytes) -> Snapshot:
        """All of `steps` at once."""
        steps = self.steps(document)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                snapshot: Snapshot = end.value
                return snapshot

    def steps(self, document: bytes) -> Generator[None, None, Snapshot]:
        """The snapshot, undecodable objects left out and named among its problems.

        A large document takes a while: the generator pauses so that others get their turns. Raises UnreachableError
        if this is no metadata, or not this host's: the last good state should stay.
        """
        reading = _Reading(self._before, self._memories)
        with _refusals(document):
            self._before = yield from reading.steps(document)
        self._memories = reading.kept
        return self._before


@contextmanager
def _refusals(document: bytes) -> Iterator[None]:
    try:
        yield
    except ValidationError:
        raise UnreachableError(f"the metadata answers no object but {_shown(memoryview(document))}") from None
    except (MsgspecError, UnicodeError) as error:
        raise UnreachableError(f"the metadata's answer is no JSON ({error})") from error
    except RecursionError as error:
        raise UnreachableError("the metadata's answer is nested too deeply") from error


class _Reading:
    """One pass over one document. `kept` is what the next pass needs."""

    def __init__(self, before: Snapshot, memories: Mapping[str, Memory]) -> None:
        self.kept: dict[str, Memory] = {}
        self._memories = memories
        self._harvest = Harvest(before)

    def steps(self, document: bytes) -> Generator[None, None, Snapshot]:
        memory = self._memories.get(OWN_ENVIRONMENT, Memory())
        parts = yield from split(document, ENVIRONMENT, memory.outlines)
        _check(parts)
        self_host, own_uuid = _self_host(parts)
        kept = yield from EnvironmentReader(OWN_ENVIRONMENT, parts, memory, self._harvest).steps()
        listed = parts.lists.get("environments", Section(Outline()))
        linked = _read_environments(listed, memory)
        self.kept[OWN_ENVIRONMENT] = Memory(
            {**kept.outlines, "environments": listed.outline}, {**kept.reads, "environments": linked}
        )
        own = yield from self._linked_environments(zip(listed.texts, linked, strict=True), own_uuid)
        return self._snapshot(self_host, own or _own_environment(parts, kept.reads["stacks"], own_uuid))

    def _linked_environments(
        self, linked: Iterable[tuple[Text, Read[Environment]]], own_uuid: str
    ) -> Generator[None, None, Environment | None]:
        """Read what every linked environment holds; our own may be listed among them, and is returned then."""
        own = None
        for index, (text, read) in enumerate(linked):
            environment = self._harvest.entity("environment", index, read)
            if environment is not None and own_uuid and environment.uuid == own_uuid:
                own = environment
            elif environment is not None:
                yield from self._linked_environment(environment, text)
        return own

    def _linked_environment(self, environment: Environment, text: Text) -> Generator[None, None, None]:
        name, region = environment.name.lower(), environment.region.lower()
        key = f"{region}/{name}" if region else name
        where = f"environment {key}"
        if key in self._harvest.linked:
            self._harvest.problems.append(Problem(where, "listed twice; the first one counts"))
            return
        self._harvest.linked[key] = environment
        memory = self._memories.get(key, Memory())
        parts = yield from split(bytes(memoryview(text)), ENVIRONMENT, memory.outlines)
        for section in SECTIONS:
            if section in parts.texts:
                odd = _shown(parts.texts[section])
                self._harvest.problems.append(Problem(where, f"{section}: a list is allowed, {odd} given"))
        self.kept[key] = yield from EnvironmentReader(key, parts, memory, self._harvest).steps()

    def _snapshot(self, self_host: str, own: Environment) -> Snapshot:
        harvest = self._harvest
        return Snapshot(
            self_host=self_host,
            own=own,
            linked=harvest.linked,
            hosts=harvest.hosts,
            stacks=harvest.stacks,
            services=harvest.services,
            containers=harvest.containers,
            networks=harvest.networks,
            problems=tuple(harvest.problems),
        )


def _check(parts: Parts) -> None:
    missing = [name for name in SECTIONS if name not in parts.lists and name not in parts.texts]
    if missing:
        # A document without them is not an environment without containers: the server spells that `null`.
        raise UnreachableError(
            f"the metadata's answer lacks {', '.join(missing)}: it has no data yet, or is no metadata"
        )
    for name in SECTIONS:
        if name in parts.texts:
            raise UnreachableError(f"the metadata's {name} is no list but {_shown(parts.texts[name])}")


def _self_host(parts: Parts) -> tuple[str, str]:
    """The uuids of the host that the metadata server runs on, and of its environment."""
    self_ = parts.texts.get("self")
    host = None if self_ is None else field_of(self_, "host")
    uuid = "" if host is None else text_of(host, "uuid")
    if host is None or not uuid:
        # Without it no container would be local: everything here would be open.
        given = "missing" if self_ is None else _shown(self_)
        raise UnreachableError(
            f"the metadata does not say which host this is: self.host.uuid is required, self is {given}"
        )
    return uuid, text_of(host, "environment_uuid")


def _own_environment(parts: Parts, stacks: Iterable[Read[Stack]], uuid: str) -> Environment:
    region = parts.texts.get("region_name")
    return Environment(
        name=next(filter(None, (stack.environment_name for stack in stacks)), ""),
        region="" if region is None else text_in(region),
        uuid=uuid,
    )


def _read_environments(listed: Section, memory: Memory) -> list[Read[Environment]]:
    known = memory.reads.get("environments", ())
    return [
        read_environment(text) if origin == NEW else known[origin]
        for text, origin in zip(listed.texts, listed.origins, strict=True)
    ]


def _shown(text: Text) -> str:
    """JSON for a message."""
    if len(sent := bytes(memoryview(text)[: _LONG + 1])) <= _LONG:
        try:
            return shown(_json.decode(sent))
        except UNREADABLE:
            pass
    return shown(sent[:SHOWN_CHARACTERS].decode(errors="replace"))
