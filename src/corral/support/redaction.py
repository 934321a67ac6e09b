"""Takes secrets out of documents and texts that leave the host. Pure.

What counts as one: the credentials themselves, whatever stands under or behind a name that speaks of a secret (labels
have such names, too), what stands before the @ of an address, and HTTP's authorization and cookies.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"

_WORDS = r"secret|passw|passphrase|token|cookie|(?:api|access|private)[_.-]?key|\bpwd\b|_pwd\b"
_SECRET_NAME = re.compile(rf"{_WORDS}|credential|authori[sz]ation|\bauth\b", re.IGNORECASE)
_USERINFO = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/\"'<>]*@")
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\"?\s*[:=]\s*\"?)[^\r\n\"]+")
_SCHEME = re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{4,}")
_ASSIGNED = re.compile(rf"(?i)([\w./-]*(?:{_WORDS})[\w./-]*[\"']?\s*(?:==|!=|=|:)\s*[\"']?)([^\s,;&\"'()\[\]]+)")
_LISTED = re.compile(rf"(?i)([\w./-]*(?:{_WORDS})[\w./-]*\s+(?:not\s*)?in\s*\()[^)]*\)")
# A comment in the table that is too long for the kernel, whose last value has no end.
_CUT_OFF = re.compile(
    rf"(?i)([\w./-]*(?:{_WORDS})[\w./:@+-]*(?:\s*(?:==?|!=)|\s+(?:not\s*)?in\s*\()\s*)[^,()\"…][^()\"…]*…"
)
# A selector's values may hold spaces, and most else.
_KEY = rf"[\w./:@+-]*(?:{_WORDS})[\w./:@+-]*"
_COMPARED = re.compile(rf"(?i){_KEY}\s*(?:==?|!=)\s*([^,()=!<>\"\\]+)|{_KEY}\s+(?:not\s*)?in\s*\(([^()]*)\)")
# The names of sets hold labels and their values in one; nft's own words stay.
_SET_NAME = re.compile(rf"(?i)\b(label|selector)/([^\s\"{{}},@]*(?:{_WORDS})[^\s\"{{}},@]*)")
# The others cost much more than this, which all that they find has in it.
_SUSPECT = re.compile(rf"{_WORDS}|authorization|basic|bearer|://", re.IGNORECASE)
_LONG_ENOUGH = 4  # shorter than this is no secret, and to take it out would take out half of a text
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")  # as names of sets have it replaced


class Redactor:
    """Knows some secrets by their text; `salt` keeps names of sets apart that hold secrets."""

    def __init__(self, secrets: Iterable[str], salt: bytes) -> None:
        known = {form for secret in secrets if len(secret) >= _LONG_ENOUGH for form in _forms(secret)}
        longest_first = sorted(known, key=len, reverse=True)
        # Selectors are written in lower case, and what they were written from may not be.
        self._known = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if known else None
        self._salt = salt

    def document(self, value: Any) -> Any:
        """A JSON value without secrets; its shape stays."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.document(item) for item in value]
        if not isinstance(value, dict):
            return value
        hidden = _names_a_secret(value)
        return {
            self.text(key): _hide(item) if is_secret_name(key) or (hidden and key in _VALUES) else self.document(item)
            for key, item in value.items()
        }

    def text(self, text: str) -> str:
        """The same for text of any kind."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        if _SUSPECT.search(text) is None:
            return text
        return "".join(map(self._line, text.splitlines(keepends=True)))

    def _line(self, line: str) -> str:
        if _SUSPECT.search(line) is None:
            return line
        line = _USERINFO.sub(rf"\1{REDACTED}@", line)
        line = _HEADER.sub(rf"\1\2{REDACTED}", line)
        line = _SCHEME.sub(rf"\1 {REDACTED}", line)
        line = _SET_NAME.sub(self._set_name, line)
        line = _LISTED.sub(rf"\1{REDACTED})", line)
        line = _CUT_OFF.sub(rf"\1{REDACTED}…", line)
        return _ASSIGNED.sub(rf"\1{REDACTED}", line)

    def _set_name(self, found: re.Match[str]) -> str:
        digest = hashlib.blake2s(found[2].encode(errors="surrogatepass"), key=self._salt, digest_size=4).hexdigest()
        return f"{found[1]}/redacted-{digest}"


_NAMES, _VALUES = ("key", "name"), ("value", "values")
# What labels of such names are set to that name no secret: to take that out would take out half of a document.
_NO_SECRETS = frozenset({"true", "false", "none", "null", "default", "allow", "deny", "enabled", "disabled"})


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what is called so should not leave the host."""
    return _SECRET_NAME.search(name) is not None


def secrets_in(document: Any) -> Iterator[str]:
    """The texts in a document that stand under the name of a secret: they may stand elsewhere, too."""
    if isinstance(document, str):
        yield from _selected(document) if document.lstrip().startswith("{") else ()  # a rule may be a text
    elif isinstance(document, list):
        for item in document:
            yield from secrets_in(item)
    elif isinstance(document, dict):
        hidden = _names_a_secret(document)
        for key, item in document.items():
            if is_secret_name(key) or (hidden and key in _VALUES):
                yield from (text for text in _texts(item) if text.lower() not in _NO_SECRETS)
            elif key == "selector" and isinstance(item, str):
                yield from _selected(item)
            else:
                yield from secrets_in(item)


def _selected(text: str) -> Iterator[str]:
    """What a policy's selectors compare with a secret."""
    for compared, listed in _COMPARED.findall(text):
        yield from filter(None, map(str.strip, (compared or listed).split(",")))


def _names_a_secret(value: dict[str, Any]) -> bool:
    return any(isinstance(value.get(name), str) and is_secret_name(value[name]) for name in _NAMES)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _hide(value: Any) -> Any:
    return value if value is None or isinstance(value, bool) or value == "" else REDACTED


def _forms(secret: str) -> set[str]:
    """A secret, and as it looks in a header, in the name of a set, in an address and in a JSON text."""
    encoded = base64.b64encode(secret.encode(errors="surrogatepass")).decode()
    quoted = quote(secret, safe="", errors="surrogatepass")
    return {secret, encoded, _UNFIT.sub("_", secret), quoted, quoted.replace("%20", "+"), json.dumps(secret)[1:-1]}
