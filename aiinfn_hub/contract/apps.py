"""Apps: web programs of the platform file that people open from JupyterLab, as the hub tells a session's server of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Annotated, Any, Final
from xml.etree import ElementTree as ET

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, ValidationError

from .base import Answer

VARIABLE: Final = "AIINFN_APPS"
"""Environment variable of a session: its apps, as a JSON array of `SessionApp`."""
PORT_PROXY: Final = "AIINFN_PORT_PROXY"
"""Environment variable of a session: ``open`` where loopback is the session's own, so that it may forward to ports there."""
OPEN: Final = "open"
SOCKET: Final = "{unix_socket}"
"""Stands for the path of the socket on which an app must listen."""
BASE_URL: Final = "{base_url}"
"""Stands for the app's own address without the host and without a slash at its end, e.g. ``/user/ada/apps/tensorboard``."""
MOST: Final = 20
"""Apps of a platform."""
LARGEST: Final = 2**16
"""Characters of them together: one environment variable may have 128 KiB."""
LARGEST_ICON: Final = 4096

_SVG: Final = "{http://www.w3.org/2000/svg}"
_RESERVED: Final = re.compile(r"(AIINFN|JUPYTERHUB)_", re.IGNORECASE)


def _word(value: str) -> str:
    if "\0" in value:
        raise ValueError("a word of a command cannot hold NUL")
    if "{port}" in value:
        raise ValueError(f"an app gets no port, which others could reach; let it listen on {SOCKET}")
    return value


def _program(value: str) -> str:
    if not value or "{" in value or value.startswith("-") or any(each.isspace() for each in value):
        raise ValueError(f"'{value[:60]}' is no program; write its name or its absolute path")
    return value


def _command(value: tuple[str, ...]) -> tuple[str, ...]:
    _program(value[0])
    return value


def _variable(value: str) -> str:
    if _RESERVED.match(value):
        raise ValueError(f"{value[:60]} is set by the platform")
    return value


def _icon(value: str) -> str:
    if not value:
        return value
    example = 'write for example <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">…</svg>'
    if "<!" in value or "<?" in value:
        raise ValueError(f"an icon is an SVG element alone, without declarations and comments; {example}")
    try:
        root = ET.fromstring(value)  # noqa: S314 - it has no DTD, and at most LARGEST_ICON characters
    except (ET.ParseError, ValueError) as error:
        raise ValueError(f"this icon is no SVG ({error}); {example}") from None
    if root.tag != f"{_SVG}svg":
        raise ValueError(f"this icon is no SVG; {example}")
    for element in root.iter():
        name = element.tag.removeprefix(_SVG).lower()
        if name in {"script", "foreignobject", "use", "image", "style", "a"} or ":" in name or "}" in name:
            raise ValueError(f"an icon cannot hold <{name.rpartition('}')[2]}>: only shapes")
        if any(key.lower().startswith("on") or "href" in key.lower() for key in element.attrib):
            raise ValueError("an icon cannot hold code or links: only shapes")
    return value


AppName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$")]
"""Part of an app's address and of its socket's path: lower-case letters, digits and ``-``, at most 32."""
Word = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_word)]
Program = Annotated[str, StringConstraints(max_length=200), AfterValidator(_program)]
Command = Annotated[tuple[Word, ...], Field(min_length=1, max_length=50), AfterValidator(_command)]
"""A program and its arguments; no shell looks at them."""
VariableName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100), AfterValidator(_variable)
]
Environment = Annotated[dict[VariableName, Word], Field(max_length=20)]
Icon = Annotated[str, StringConstraints(max_length=LARGEST_ICON), AfterValidator(_icon)]
"""An SVG element that can do nothing but be looked at."""
Title = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Description = Annotated[str, StringConstraints(max_length=200)]


class SessionApp(Answer):
    """One app, as a session's server gets it. What a newer hub says beyond this is passed over."""

    model_config = ConfigDict(frozen=True)

    name: AppName
    title: Title
    command: Command
    description: Description = ""
    requires: tuple[Program, ...] = ()
    icon: Icon = ""
    environment: Environment = Field(default_factory=dict)
    start_timeout: float = Field(default=30.0, gt=0, le=600)
    absolute_url: bool = False
    new_tab: bool = True
    keeps_session: bool = False


def listens(command: Iterable[str], environment: Iterable[str]) -> bool:
    """Return whether a command or the values of its environment name the socket."""
    return any(SOCKET in each for each in (*command, *environment))


def dump_apps(apps: Iterable[SessionApp]) -> str:
    """Write apps as the value of `VARIABLE`.

    A dollar sign is written as JSON's escape: Kubernetes would replace ``$(NAME)``.
    """
    return json.dumps([app.model_dump(mode="json") for app in apps], separators=(",", ":")).replace(
        "$", "\\u0024"
    )


def parse_apps(text: str) -> tuple[list[SessionApp], list[str]]:
    """Read the value of `VARIABLE`, which may hold anything.

    Returns
    -------
    tuple
        The apps that can be used, and a sentence about each thing that cannot.
    """
    if not text:
        return [], []
    try:
        told: Any = json.loads(text) if len(text) <= 2 * LARGEST else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, list):
        return [], [f"{VARIABLE} is no list of apps; none is offered"]
    apps: dict[str, SessionApp] = {}
    problems = []
    if len(told) > MOST:
        problems.append(f"{VARIABLE} names {len(told)} apps; the first {MOST} are taken")
    for number, each in enumerate(told[:MOST], 1):
        try:
            app = SessionApp.model_validate(each)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            problems.append(f"App {number} is left out: {place}: {first['msg']}")
            continue
        if app.name in apps:
            problems.append(f"App {number} is left out: there is another one called {app.name}")
        elif not listens(app.command, app.environment.values()):
            problems.append(f"The app {app.name} is left out: its command does not name {SOCKET}")
        else:
            apps[app.name] = app
    return list(apps.values()), problems
