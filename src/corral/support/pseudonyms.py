"""Replaces names and addresses by pseudonyms, the same one for the same name wherever it stands. Pure.

Names are known by where they stand in documents (`names_in`); then they are replaced wherever they stand, in texts and
in the names of sets, too. The salt is thrown away, so nobody can work back.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any

from corral.types import Address, Subnet

# What stands under these keys, or lists of it, is a name or a path of names: in the agent's documents, and in those of
# the metadata service.
_NAME_KEYS = frozenset(
    {"name", "hostname", "stack", "stacks", "stack_name", "service", "services", "service_name"}
    | {"primary_service_name", "environment", "environment_name", "region_name", "container", "party"}
    | {"links", "links_to", "sidekicks"}
)
_SELECTED = re.compile(r"(?:==?|!=)\s*([^\s,()=!\"]+)|\b(?:not\s*)?in\s*\(([^)]*)\)")
_POLICY_KEYS = frozenset({"policy", "rules", "selector"})

# Words of corral's and of Rancher's documents: a name that is one of them says nothing where it stands for the word.
_VOCABULARY = frozenset(
    {"allow", "deny", "drop", "accept", "audit", "enforce", "off", "keep", "open", "default", "rule", "rules"}
    | {"stack", "service", "linked", "label", "selector", "within", "between", "from", "to", "ports", "port"}
    | {"tcp", "udp", "icmp", "ip", "inet", "system", "local", "unjudged", "subnets", "dispatch", "forward"}
    | {"ready", "degraded", "starting", "running", "unhealthy", "unknown", "missing", "this", "active"}
    | {"true", "false", "null", "none", "ok", "warning", "problem", "container", "host", "network", "bridge"}
    | {"policy", "metadata", "events", "kernel", "corral", "agent", "counter", "chain", "table", "set", "map", "type"}
    | {"packets", "bytes", "comment", "elements", "and", "or", "the", "an", "of", "in", "is", "no", "not", "it", "for"}
    | {"with", "on", "by", "at", "as", "be", "has", "have", "was", "here", "there", "that", "what"}
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_WORD = re.compile(r"[^\W_]+")
_RUN = re.compile(r"[^\W_]+(?:[._-]+[^\W_]+)*")
_PATH_PART = re.compile(r"[^/+\s]+")
_LONGEST_RUN = 24  # words
_LONGEST_NUMBER = 5  # digits: as many as a port has
_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)")
_ADDRESS6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,}[0-9a-fA-F]{0,4}(?![\w:])")
_SET_NAME = re.compile(r"\b(stack|service|linked|linked-container|label|selector)/([^\s\"{},@;]+)")
_DIGEST = re.compile(
    r"(?<![\w-])(rule-(?:allow|deny)-(?=[a-z2-7]{8}(?![\w-]))|to-(?=[a-z2-7]{16}(?![\w-]))|(?=[0-9a-f]{12}(?![\w-])))"
    r"([a-z0-9]{8,16})"
)
_KEPT = tuple(map(ipaddress.IPv4Network, ("127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/32", "255.0.0.0/8")))


class Pseudonyms:
    """`names` are replaced, and the addresses outside of `managed`."""

    def __init__(self, salt: bytes, names: Iterable[str], managed: Iterable[Subnet] = ()) -> None:
        self._salt = salt
        self._managed = tuple(managed)
        self._names = {name.casefold() for name in names if name}
        # What is no run of words, such as a label's value with spaces, is looked for as it is.
        odd = [name for name in self._names if not _RUN.fullmatch(name) and len(name) > 1 and _WORD.search(name)]
        longest_first = "|".join(map(re.escape, sorted(odd, key=len, reverse=True)))
        self._odd = re.compile(longest_first, re.IGNORECASE) if odd else None

    def document(self, value: Any, key: str = "") -> Any:
        """A JSON value that stands under a key."""
        if isinstance(value, str):
            return self._under(key, value)
        if isinstance(value, list):
            return [self.document(item, key) for item in value]
        if isinstance(value, dict):
            inner = key if key in {"labels", "links"} else ""
            return {self._key(name, key): self.document(item, inner or name) for name, item in value.items()}
        return value

    def text(self, text: str) -> str:
        """Text of any kind."""
        text = _SET_NAME.sub(self._set_name, text)
        text = _DIGEST.sub(self._digest, text)
        if self._odd is not None:
            text = self._odd.sub(lambda found: self.of(found[0]), text)
        text = _ADDRESS.sub(lambda found: self._address(found[0]), text)
        text = _ADDRESS6.sub("[address]", text)
        return _RUN.sub(lambda found: self._run(found[0]), text)

    def of(self, name: str) -> str:
        """The pseudonym of a name, in whatever letters it is written; of a path of names that of each."""
        if "/" in name:
            return "/".join(map(self.of, name.split("/")))
        if not name:
            return name
        digest = hashlib.blake2s(name.casefold().encode(errors="surrogatepass"), key=self._salt, digest_size=10)
        return "name" + base64.b32encode(digest.digest()).decode().lower()

    def _under(self, key: str, text: str) -> str:
        if key == "labels":
            return self.of(text)
        if key not in _NAME_KEYS or _UUID.fullmatch(text) or _ADDRESS.fullmatch(text):
            return self.text(text)
        if text.casefold() in self._names:
            return self.of(text)
        return _PATH_PART.sub(lambda part: self._part(part[0]), text)

    def _part(self, part: str) -> str:
        return self.of(part) if part.casefold() in self._names else self.text(part)

    def _key(self, name: str, around: str) -> str:
        """Labels' keys stay, for the policy speaks of them; the keys of links are names."""
        if around == "labels" or name.casefold() in _VOCABULARY or name in _NAME_KEYS:
            return name
        return self._under("name", name) if around in _NAME_KEYS else self.text(name)

    def _set_name(self, found: re.Match[str]) -> str:
        """A long one is cut off, so the parts of it may be no names as we know them."""
        return f"{found[1]}/{self.of(found[2])}"

    def _digest(self, found: re.Match[str]) -> str:
        """Of a rule, a chain or a policy: whoever has a guess could make the same of it, and know."""
        digest = hashlib.blake2s(found[2].encode(), key=self._salt, digest_size=20).digest()
        shown = digest.hex() if found[1] == "" else base64.b32encode(digest).decode().lower()
        return f"{found[1]}{shown[: len(found[2])]}"

    def _run(self, run: str) -> str:
        """The longest names among words that are joined by dots, dashes and underscores."""
        if self._counts(run):
            return self.of(run)
        words = list(_WORD.finditer(run))
        if len(words) == 1:
            return run
        done, at, first = "", 0, 0
        while first < len(words):
            last = self._longest(run, words, first)
            if last is None:
                first += 1
                continue
            start, end = words[first].start(), words[last].end()
            done += run[at:start] + self.of(run[start:end])
            at, first = end, last + 1
        return done + run[at:]

    def _longest(self, run: str, words: list[re.Match[str]], first: int) -> int | None:
        for last in range(min(len(words), first + _LONGEST_RUN) - 1, first - 1, -1):
            if self._counts(run[words[first].start() : words[last].end()]):
                return last
        return None

    def _counts(self, word: str) -> bool:
        """Whether it is to be replaced in a text: letters and short numbers stand there for much else."""
        folded = word.casefold()
        if folded not in self._names or folded in _VOCABULARY or len(word) == 1:
            return False
        return not (word.isdecimal() and len(word) <= _LONGEST_NUMBER)

    def _address(self, text: str) -> str:
        try:
            address = Address.parse(text)
        except ValueError:
            return text
        if any(address in subnet for subnet in self._managed):
            return text
        if any(ipaddress.IPv4Address(int(address)) in network for network in _KEPT):
            return text
        digest = hashlib.blake2s(text.encode(), key=self._salt, digest_size=3).digest()
        return f"198.{18 + (digest[0] & 1)}.{digest[1]}.{digest[2]}"  # for benchmarks, RFC 2544


def names_in(document: Any, key: str = "") -> Iterator[str]:
    """The names in a document: of stacks, services, containers, hosts and environments, and the values of labels."""
    if isinstance(document, str):
        yield from _names_under(key, document)
    elif isinstance(document, list):
        for item in document:
            yield from names_in(item, key)
    elif isinstance(document, dict):
        inner = key if key in _WHOLE else ""
        for name, item in document.items():
            if key == "links":
                yield from _names_under(key, name)
            yield from names_in(item, inner or name)


_WHOLE = frozenset({"labels", "links"}) | _POLICY_KEYS  # all below them is of one kind


def _names_under(key: str, text: str) -> Iterator[str]:
    if key == "labels":
        yield text
    elif key in _POLICY_KEYS:
        for compared, listed in _SELECTED.findall(text):
            yield from filter(None, (part.strip() for part in (compared or listed).split(",")))
    elif key in _NAME_KEYS and not _UUID.fullmatch(text) and not _ADDRESS.fullmatch(text):
        yield text
        yield from _PATH_PART.findall(text)
