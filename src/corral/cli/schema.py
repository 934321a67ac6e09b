"""The shapes of JSON answers as pydantic sees them: for `corral schema`, the documentation and the tests."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_type_hints

import typer
from pydantic import ConfigDict, TypeAdapter
from typing_extensions import is_typeddict

from corral.cli.output import say, say_json
from corral.documents.connections import Connections
from corral.documents.containers import Containers, Programmed
from corral.documents.denied import Denied, DeniedSuggestions
from corral.documents.doctor import Examination
from corral.documents.events import Events
from corral.documents.explain import Explanation, Names
from corral.documents.hosts import Hosts
from corral.documents.log import Log
from corral.documents.matrix import MatrixDocument, WarningsDocument
from corral.documents.plan import FormerPolicies, PlanDocument, PolicyCheck, PolicyTest
from corral.documents.printed import PolicyFile, RulesetText
from corral.documents.rules import Rules
from corral.documents.state import Health, PolicyInForce, State
from corral.documents.topology import TopologyDocument
from corral.errors import UsageError

# What each answer is called, here and in the documentation.
DOCUMENTS: dict[str, type] = {
    "connections": Connections,
    "containers": Containers,
    "doctor": Examination,
    "denied": Denied,
    "denied-suggestions": DeniedSuggestions,
    "events": Events,
    "explain": Explanation,
    "health": Health,
    "hosts": Hosts,
    "log": Log,
    "matrix": MatrixDocument,
    "names": Names,
    "plan": PlanDocument,
    "policy": PolicyInForce,
    "policy-check": PolicyCheck,
    "policy-file": PolicyFile,
    "policy-history": FormerPolicies,
    "policy-test": PolicyTest,
    "programmed": Programmed,
    "rules": Rules,
    "ruleset": RulesetText,
    "state": State,
    "topology": TopologyDocument,
    "warnings": WarningsDocument,
}


def _names(incomplete: str) -> list[str]:
    return [name for name in DOCUMENTS if name.startswith(incomplete)]


def schema(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="The answer; without: list all.", autocompletion=_names, show_default=False
        ),
    ] = None,
) -> None:
    """Print the JSON schema of an answer: of the agent's documents and of what `--json` prints."""
    if name is None:
        for known in DOCUMENTS:
            say(known)
        return
    if name not in DOCUMENTS:
        near = difflib.get_close_matches(name, DOCUMENTS, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(f"NAME: {name!r} given{meant}; {', '.join(DOCUMENTS)} are allowed")
    say_json(adapter(DOCUMENTS[name]).json_schema())


_CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def adapter(document: type) -> TypeAdapter[Any]:
    """Validates one kind of document, and knows its JSON schema. Keys that the document does not name are errors."""
    for part in _typed_dicts(document):
        part.__pydantic_config__ = _CONFIG  # pydantic takes a configuration from the class only, each from its own
    return TypeAdapter(document)


def _typed_dicts(annotation: Any) -> Iterator[Any]:
    if is_typeddict(annotation):
        yield annotation
        for part in get_type_hints(annotation).values():
            yield from _typed_dicts(part)
    for part in get_args(annotation):
        yield from _typed_dicts(part)
