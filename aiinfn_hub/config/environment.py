"""Reading environment variables: what is missing or wrong is named in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit


class ConfigurationError(Exception):
    """The environment lacks something; the message is a sentence that says what to do."""


def required(environment: Mapping[str, str], name: str, meaning: str) -> str:
    """Return a variable that must be there."""
    value = environment.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"Set {name} to {meaning}; for a first look, run `aiinfn-hub demo`.")
    return value


def port(environment: Mapping[str, str], name: str, default: int) -> int:
    """Return a port."""
    value = environment.get(name) or str(default)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise ConfigurationError(f"{name} must be a port between 1 and 65535, not {value!r}.")
    return int(value)


def url(environment: Mapping[str, str], name: str) -> str | None:
    """Return a URL, or None if the variable is not set."""
    value = environment.get(name, "").strip()
    if not value:
        return None
    if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc:
        raise ConfigurationError(f"{name} must be a URL such as https://iam.example.org/.")
    return value


def accounts_url(environment: Mapping[str, str], data: Path) -> str:
    """Return the SQLAlchemy URL of the table that says whose the hub's accounts are."""
    return environment.get("AIINFN_ACCOUNTS_DATABASE") or f"sqlite:///{data / 'hub' / 'accounts.sqlite'}"


def in_url(address: str) -> str:
    """Write an address as a URL has it: one of IPv6 stands in brackets."""
    return f"[{address}]" if ":" in address else address
