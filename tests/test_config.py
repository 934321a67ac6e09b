"""Settings: sources, precedence, and errors that say what, where and what is allowed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.config import Mode, load_settings
from corral.errors import UsageError

CATTLE = {
    "CATTLE_URL": "http://rancher:8080/v1",
    "CATTLE_ACCESS_KEY": "cattle",
    "CATTLE_SECRET_KEY": "secret-of-cattle",
}
PLATFORM = {
    "PLATFORM_URL": "http://pasture:8080/v1",
    "PLATFORM_ACCESS_KEY": "platform",
    "PLATFORM_SECRET_KEY": "secret-of-platform",
}


def test_defaults() -> None:
    settings = load_settings({})
    assert settings.metadata_url == "http://169.254.169.250/2016-07-29"
    assert (settings.listen.host, settings.listen.port) == ("127.0.0.1", 8799)
    assert settings.mode is Mode.ENFORCE
    assert settings.stale_after == timedelta(minutes=10)
    assert not settings.has_credentials


def test_health_checks_from_elsewhere_are_answered_only_if_told() -> None:
    assert load_settings({}).health_listen is None
    assert load_settings({"CORRAL_HEALTH_LISTEN": ""}).health_listen is None
    told = load_settings({"CORRAL_HEALTH_LISTEN": "0.0.0.0:8798"}).health_listen
    assert told is not None
    assert (told.host, told.port) == ("0.0.0.0", 8798)  # noqa: S104


@pytest.mark.parametrize(
    ("listen", "health", "allowed"),
    [
        ("127.0.0.1:8799", "127.0.0.1:8799", False),
        ("127.0.0.1:8799", "0.0.0.0:8799", False),
        ("0.0.0.0:8799", "10.0.0.7:8799", False),
        ("[::1]:8799", "[::]:8799", False),
        ("127.0.0.1:8799", "10.0.0.7:8799", True),
        ("127.0.0.1:8799", "127.0.0.1:8798", True),
        ("127.0.0.1:0", "127.0.0.1:0", True),
    ],
)
def test_the_two_listeners_are_two(listen: str, health: str, allowed: bool) -> None:
    given = {"CORRAL_LISTEN": listen, "CORRAL_HEALTH_LISTEN": health}
    if allowed:
        assert load_settings(given).health_listen == health
        return
    with pytest.raises(UsageError) as refused:
        load_settings(given)
    assert str(refused.value) == (
        f"CORRAL_HEALTH_LISTEN: '{health}' given; another port than that of CORRAL_LISTEN ({listen}) is allowed"
    )


def test_a_bad_listener_hides_nothing_of_the_other() -> None:
    with pytest.raises(UsageError, match=r"CORRAL_LISTEN: 'x' given.*CORRAL_HEALTH_LISTEN: 'y' given"):
        load_settings({"CORRAL_LISTEN": "x", "CORRAL_HEALTH_LISTEN": "y"})


def test_a_flag_wins_over_a_variable() -> None:
    environment = {"CORRAL_MODE": "off", "CORRAL_LOG_LEVEL": "debug"}
    settings = load_settings(environment, {"mode": "audit", "log_level": None})
    assert (settings.mode, settings.log_level) == (Mode.AUDIT, "debug")


def test_platform_names_win_over_cattle_names_and_are_not_mixed() -> None:
    settings = load_settings(CATTLE | PLATFORM)
    assert (settings.rancher_url, settings.rancher_access_key) == ("http://pasture:8080/v1", "platform")
    incomplete = {name: value for name, value in PLATFORM.items() if name != "PLATFORM_SECRET_KEY"}
    settings = load_settings(CATTLE | incomplete)
    assert (settings.rancher_url, settings.rancher_access_key) == ("http://rancher:8080/v1", "cattle")


def test_half_of_our_own_credentials_is_an_error() -> None:
    with pytest.raises(UsageError, match="CORRAL_RANCHER_SECRET_KEY not set"):
        load_settings({"CORRAL_RANCHER_URL": "http://r:8080", "CORRAL_RANCHER_ACCESS_KEY": "k"} | CATTLE)


def test_the_secret_is_not_shown() -> None:
    settings = load_settings(CATTLE)
    assert "secret-of-cattle" not in repr(settings)
    assert settings.rancher_secret_key is not None
    assert settings.rancher_secret_key.get_secret_value() == "secret-of-cattle"


def test_an_unknown_variable_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="CORRAL_MOD: unknown setting; the nearest known one is CORRAL_MODE"):
        load_settings({"CORRAL_MOD": "off"})


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("CORRAL_MODE", "on", "'enforce', 'audit' or 'off'"),
        ("CORRAL_LISTEN", "8799", "host:port is allowed"),
        ("CORRAL_LISTEN", "127.0.0.1:99999", "host:port is allowed"),
        ("CORRAL_HEALTH_LISTEN", "8798", "host:port is allowed"),
        ("CORRAL_STALE_AFTER", "10", "500ms, 30s, 10m"),
        ("CORRAL_STALE_AFTER", "99999999999999d", "at most 999999999d"),
        ("CORRAL_STALE_AFTER", "9" * 400 + "s", "at most 999999999d"),
        ("CORRAL_METADATA_URL", "http://h:99999/", "http:// or https://"),
        ("CORRAL_METADATA_URL", "http://a..b/", "http:// or https://"),
        ("CORRAL_METADATA_URL", "http://[::1/", "http:// or https://"),
        ("CORRAL_METADATA_URL", "169.254.169.250", "http:// or https://"),
        ("CORRAL_UNKNOWN_ENDPOINTS", "deny", "'default' or 'allow'"),
        ("CORRAL_CA_FILE", "/nowhere/ca.crt", "PEM file"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(variable: str, value: str, allowed: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings({variable: value})
    assert variable in str(caught.value)
    assert value in str(caught.value)
    assert allowed in str(caught.value)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        load_settings({"CORRAL_MODE": "on", "CORRAL_ON_EXIT": "leave"})
    assert "CORRAL_MODE" in str(caught.value)
    assert "CORRAL_ON_EXIT" in str(caught.value)


def test_a_ca_file_is_taken(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.write_text("")
    assert load_settings({"CORRAL_CA_FILE": str(bundle)}).ca_file == bundle


@given(st.integers(1, 10_000), st.sampled_from(["ms", "s", "m", "h"]))
def test_durations(number: int, unit: str) -> None:
    seconds = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] * number
    assert load_settings({"CORRAL_STALE_AFTER": f"{number}{unit}"}).stale_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("family", ["CORRAL_RANCHER_", "CATTLE_", "PLATFORM_"])
def test_a_wrong_credential_is_named_as_it_was_given(family: str) -> None:
    given = {f"{family}URL": "ftp://h", f"{family}ACCESS_KEY": "k", f"{family}SECRET_KEY": "s"}
    with pytest.raises(UsageError, match=f"^{family}URL: 'ftp://h' given; an http:// or https:// address is allowed$"):
        load_settings(given)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://u:SECRETPW@h",
        "http://u:SECRETPW@h:99999/",
        "http://u:SECRET@PW@a..b/",
        "http://u:pa/SECRETPW@h",
        "u:SECRETPW@h",
        "//SECRETPW@h",
        "http://u:\nSECRETPW@[h",
    ],
)
def test_no_fault_shows_a_password(url: str) -> None:
    for variables in ({**CATTLE, "CATTLE_URL": url}, {"CORRAL_METADATA_URL": url}):
        with pytest.raises(UsageError) as caught:
            load_settings(variables)
        assert "SECRET" not in str(caught.value)
        assert "PW" not in str(caught.value)


def test_a_fault_of_a_flag_names_the_flag() -> None:
    with pytest.raises(UsageError, match=r"^--stale-after or CORRAL_STALE_AFTER: '10' given"):
        load_settings({"CORRAL_STALE_AFTER": "30s"}, {"stale_after": "10"})
    with pytest.raises(UsageError, match=r"^--agent: 'foo' given; host:port is allowed"):
        load_settings({}, {"listen": "foo"}, flag_names={"listen": "--agent"})
