"""What the JSON of one object says, and the tolerant way to find out.

Nothing here raises: an object that can not be decoded has no entity, and `faults` say why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import MsgspecError, Raw
from msgspec.json import Decoder
from pydantic import ValidationError

from corral.model.entities import ServiceKey, StackKey
from corral.wire.decode import decode
from corral.wire.fields import WireModel, faults_of, named
from corral.wire.nested import ENVIRONMENT, Identify, Identity, by_uuid, identity_of
from corral.wire.sidekicks import Member, member_of
from corral.wire.splitting import Text

Entity = TypeVar("Entity")
Document = TypeVar("Document", bound=WireModel)
Uuids = tuple[str, str]
Found = tuple[StackKey | None, tuple[ServiceKey, ...]]

NO_UUIDS: Uuids = ("", "")
NOBODY = Member()
# No JSON, not plain, or nested too deeply. ValueError is text that is no UTF-8, or no address.
NOT_PLAIN = (MsgspecError, ValueError, RecursionError)

_any = Decoder(Any)
_fields = Decoder(dict[str, Raw])


@dataclass(slots=True)
class Read(Generic[Entity]):
    """What one object says.

    `where` is what to call it, empty if it has neither name nor uuid. `asked` are the uuids of a stack and a service
    that had to be looked up, and `found` is what they stood for. `nested` are the identities of the copies in it.
    """

    entity: Entity | None
    identity: Identity = ""
    where: str = ""
    faults: str = ""
    asked: Uuids = NO_UUIDS
    found: Found = (None, ())
    nested: tuple[Identity, ...] = ()
    member: Member = NOBODY
    environment_name: str = ""


def read_tolerantly(
    kind: str,
    text: Text,
    model: type[Document],
    translate: Callable[[Document], Read[Entity]],
    *,
    identify: Identify = by_uuid,
) -> Read[Entity]:
    """Give up what is odd and expendable, else the whole object."""
    raw: object = None
    try:
        raw = _decoded(text)
        document, faults = decode(model, raw)
        read = translate(document)
    except ValidationError as error:
        read, faults = Read(None), faults_of(error)
    except RecursionError:
        read, faults = Read(None), "nested too deeply"
    except (MsgspecError, UnicodeError) as error:
        raw = _repaired(text)
        read, faults = Read(None), f"it can not be decoded: {error}"
    where = named(kind, raw)
    read.where = "" if where == kind else where
    read.faults = faults
    read.identity = identity_of(text, identify)
    read.member = member_of(raw)
    return read


def _decoded(text: Text) -> object:
    """The JSON without what is nested in it."""
    try:
        fields = _fields.decode(text)
    except MsgspecError:
        return _any.decode(text)
    return {name: _any.decode(value) for name, value in fields.items() if name not in ENVIRONMENT.lists}


def _repaired(text: Text) -> object:
    """What can be read of an object that is not text in Unicode, or holds a number out of range: its names."""
    try:
        fields = _fields.decode(bytes(memoryview(text)).decode(errors="replace"))
        return {name: _any.decode(fields[name]) for name in ("name", "uuid") if name in fields}
    except NOT_PLAIN:
        return None
