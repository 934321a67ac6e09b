"""Names and comments in the table: readable, legal for nft, unique whatever Rancher's names and labels contain."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache

LONGEST_NAME = 63
LONGEST_COMMENT = 127

_DIGEST_LENGTH = 16
_READABLE_LENGTH = LONGEST_NAME - _DIGEST_LENGTH - 1

# nft's scanner takes more after the first letter; brackets, spaces and non-ASCII letters it does not.
_PLAIN_PART = re.compile(r"[A-Za-z0-9_.-]+")
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")
_LOOKS_DIGESTED = re.compile(rf"-[a-z2-7]{{{_DIGEST_LENGTH}}}\Z")


@lru_cache(maxsize=16384)
def object_name(kind: str, *parts: str) -> str:
    """The name of the object that `kind` and `parts` identify, such as `stack/frontend`; equal only for equal ones.

    `kind` is one of corral's own words. Where the parts can not be spelled out in full, or the result could be
    taken for such a name, a digest of the exact identity follows: whoever chooses label values can not
    make two names meet.
    """
    plain = all(_PLAIN_PART.fullmatch(part) for part in parts)
    readable = "/".join((kind, *(_UNFIT.sub("_", part) for part in parts)))
    if plain and len(readable) <= LONGEST_NAME and not _LOOKS_DIGESTED.search(readable):
        return readable
    return f"{readable[:_READABLE_LENGTH]}-{digest(kind, *parts)}"


def digest(*parts: str) -> str:
    """Sixteen characters (80 bits) that stand for `parts`; each part's length counts, so no two lists run together."""
    state = hashlib.blake2s(digest_size=10)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")  # JSON can carry half a surrogate pair
        state.update(b"%d:" % len(encoded))
        state.update(encoded)
    return base64.b32encode(state.digest()).decode("ascii").lower()


def comment(text: str) -> str:
    """`text` as nft can print a comment and read it back: no quotes, printable, at most 127 bytes."""
    printable = "".join(char if char.isprintable() else "?" for char in text.replace('"', "'"))
    encoded = printable.encode()
    if len(encoded) <= LONGEST_COMMENT:
        return printable
    ellipsis = "…"
    return encoded[: LONGEST_COMMENT - len(ellipsis.encode())].decode("utf-8", "ignore") + ellipsis
