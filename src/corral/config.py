"""Settings: environment variables and flags, read once into a frozen value.

`CORRAL_*` names are ours, so an unknown one is an error; the credentials also come under the names that
Rancher (`CATTLE_*`) and PastureStack (`PLATFORM_*`) give to their agents.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError, ValidationInfo, field_validator

from corral.errors import UsageError
from corral.values import DEFAULT_LISTEN, Listen, parse_duration, parse_listen

PREFIX = "CORRAL_"
CREDENTIAL_FIELDS = ("url", "access_key", "secret_key")
CREDENTIAL_FAMILIES = ("CORRAL_RANCHER_", "PLATFORM_", "CATTLE_")
# Where Rancher's and PastureStack's agents put a private CA.
WELL_KNOWN_CA_FILES = (Path("/var/lib/pasturestack/etc/ssl/ca.crt"), Path("/var/lib/rancher/etc/ssl/ca.crt"))

_USERINFO = re.compile(r"^([^:/@]*://)?.*@", re.DOTALL)


class Mode(StrEnum):
    """What becomes of the verdicts: the kernel enforces them, it counts and logs what it would deny, or it has none."""

    ENFORCE = "enforce"
    AUDIT = "audit"
    OFF = "off"


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _listen_if_any(value: object) -> Listen | None:
    return None if value is None else parse_listen(value)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is no port, a host that is no name, an unclosed [
        return False


class Settings(BaseModel):
    """Everything that `corral agent` can be told; the field names are the variables' without `CORRAL_`.

    `state_dir` is for `corral policy apply` and `rollback`, which keep former policies there; the agent keeps no files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    metadata_url: str = "http://169.254.169.250/2016-07-29"
    rancher_url: str | None = None
    rancher_access_key: str | None = None
    rancher_secret_key: SecretStr | None = None
    ca_file: Path | None = None
    listen: Annotated[Listen, BeforeValidator(parse_listen)] = DEFAULT_LISTEN
    health_listen: Annotated[Listen | None, BeforeValidator(_listen_if_any)] = None
    mode: Mode = Mode.ENFORCE
    unknown_endpoints: Literal["default", "allow"] = "default"
    on_stale: Literal["keep", "open"] = "keep"
    stale_after: Annotated[timedelta, BeforeValidator(_duration)] = timedelta(minutes=10)
    on_exit: Literal["keep", "remove"] = "keep"
    log_format: Literal["console", "json"] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    loop: Literal["uvloop", "asyncio"] = "uvloop"
    state_dir: Path | None = None

    @field_validator("metadata_url", "rancher_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not _is_http(value):
            raise ValueError("an http:// or https:// address is allowed")
        return value.rstrip("/")

    @field_validator("ca_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("the path of a PEM file is allowed; there is none here")
        return value

    @field_validator("health_listen")
    @classmethod
    def _beside(cls, value: Listen | None, info: ValidationInfo) -> Listen | None:
        listen = info.data.get("listen")
        if value is not None and listen is not None and value.meets(listen):
            raise ValueError(f"another port than that of CORRAL_LISTEN ({listen}) is allowed")
        return value

    @property
    def has_credentials(self) -> bool:
        return None not in (self.rancher_url, self.rancher_access_key, self.rancher_secret_key)


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


@dataclass(frozen=True, slots=True)
class _Given:
    """Values by field, and by what name the operator gave each."""

    values: Mapping[str, Any]
    names: Mapping[str, str]

    def __or__(self, stronger: _Given) -> _Given:
        return _Given({**self.values, **stronger.values}, {**self.names, **stronger.names})


def load_settings(
    environment: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
    *,
    flag_names: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings; flags (by field name, None where not given) win over variables.

    `flag_names` has the flags that are not called as their field. Raises UsageError naming every fault: the flag or
    variable, what was given, what is allowed.
    """
    given = _variables(environment) | _flags(flags or {}, flag_names or {})
    try:
        settings = Settings.model_validate(given.values)
    except ValidationError as error:
        raise UsageError("; ".join(_fault(detail, given.names) for detail in error.errors())) from None
    if settings.ca_file is None:
        present = next((path for path in WELL_KNOWN_CA_FILES if path.is_file()), None)
        return settings.model_copy(update={"ca_file": present})
    return settings


def _flags(flags: Mapping[str, Any], names: Mapping[str, str]) -> _Given:
    values = {field: value for field, value in flags.items() if value is not None}
    usual = {field: f"--{field.replace('_', '-')} or {variable_of(field)}" for field in values}
    return _Given(values, {**usual, **names})


def _variables(environment: Mapping[str, str]) -> _Given:
    fields = {variable_of(name): name for name in Settings.model_fields}
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in fields)
    if unknown:
        raise UsageError("; ".join(_unknown(name, fields) for name in unknown))
    ours = {name: field for name, field in fields.items() if environment.get(name) and not field.startswith("rancher_")}
    values = {field: environment[name] for name, field in ours.items()}
    return _Given(values, {field: name for name, field in ours.items()}) | _credentials(environment)


def _credentials(environment: Mapping[str, str]) -> _Given:
    """All three of one family, or none: a mixture would send one server's key to another."""
    for family in CREDENTIAL_FAMILIES:
        names = {field: family + field.upper() for field in CREDENTIAL_FIELDS}
        missing = [name for name in names.values() if not environment.get(name)]
        if not missing:
            values = {f"rancher_{field}": environment[name] for field, name in names.items()}
            return _Given(values, {f"rancher_{field}": name for field, name in names.items()})
        if len(missing) < len(names) and family == CREDENTIAL_FAMILIES[0]:
            raise UsageError(f"{', '.join(missing)} not set: the three {family}* variables go together")
    return _Given({}, {})


def _unknown(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"{name}: unknown setting; the nearest known one is {near[0]}"


def _fault(detail: Any, names: Mapping[str, str]) -> str:
    field = str(detail["loc"][0])
    given = "" if field.endswith("_key") else f"{_shown(field, detail['input'])} given; "
    reason = str(detail["msg"]).removeprefix("Value error, ")
    return f"{names.get(field, variable_of(field))}: {given}{reason}"


def _shown(field: str, value: object) -> str:
    """As it was given, but for what may be a password: all before the last @ of an address."""
    return repr(_USERINFO.sub(r"\1", str(value)) if field.endswith("_url") else value)
