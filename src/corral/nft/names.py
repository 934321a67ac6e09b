"""Names and comments in the table: readable, legal for nft, unique whatever Rancher's names and labels contain."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

LONGEST_NAME = 63
LONGEST_COMMENT = 127

_DIGEST_LENGTH = 16
# Five bits of each byte. Python's own encoder to base 32 takes ten times as long, and each chain has a digest.
_LETTERS = bytes.maketrans(bytes(range(256)), b"abcdefghijklmnopqrstuvwxyz234567" * 8)
_READABLE_LENGTH = LONGEST_NAME - _DIGEST_LENGTH - 1

# nft's scanner takes more after the first letter; brackets, spaces and non-ASCII letters it does not.
_PLAIN_PART = re.compile(r"[A-Za-z0-9_.-]+")
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")
_LOOKS_DIGESTED = re.compile(rf"-[a-z2-7]{{{_DIGEST_LENGTH}}}\Z")


@lru_cache(maxsize=4096)
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
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]  # JSON can carry half a surrogate pair
    identity = b"".join([b"%d:%b" % (len(part), part) for part in encoded])
    return hashlib.blake2s(identity, digest_size=_DIGEST_LENGTH).digest().translate(_LETTERS).decode()


def comment(text: str) -> str:
    """`text` as nft can print a comment and read it back: no quotes, printable, at most 127 bytes."""
    printable = text.replace('"', "'")
    if not printable.isprintable():
        printable = "".join(char if char.isprintable() else "?" for char in printable)
    encoded = printable.encode()
    if len(encoded) <= LONGEST_COMMENT:
        return printable
    ellipsis = "…"
    return encoded[: LONGEST_COMMENT - len(ellipsis.encode())].decode("utf-8", "ignore") + ellipsis
