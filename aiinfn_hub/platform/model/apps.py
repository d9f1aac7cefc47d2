"""Apps: web programs that people open from JupyterLab's launcher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from aiinfn_hub.contract import apps as contract
from aiinfn_hub.contract.units import Duration

from .fields import FindingError, Section


class App(Section):
    """A web program that a person opens from JupyterLab's launcher: it runs in the session, as the person, and ends with it.

    It listens on a Unix socket in a folder that nobody else can enter, never on a port. Images that do not have its program do not
    offer it. [How it works](apps.md).
    """

    title: contract.Title = Field(description="Its name in the launcher.")
    description: contract.Description = Field(default="", description="What it is for, in one line.")
    command: contract.Command = Field(
        description="Program and arguments, without a shell. `{unix_socket}` stands for the socket on which it must listen, "
        "`{base_url}` for its own address, e.g. `/user/ada/apps/tensorboard`."
    )
    requires: tuple[contract.Program, ...] = Field(
        default=(),
        description="Programs that must be in the image too, if the command's first word is in all of them.",
    )
    icon: contract.Icon = Field(
        default="",
        description="An SVG element of shapes, at most 4096 characters. Default: the title's first letter.",
    )
    environment: contract.Environment = Field(
        default={}, description="More environment variables of the program; the same two names are filled in."
    )
    start_timeout: Duration = Field(
        default=timedelta(seconds=30),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=10),
        description="Within what time it must listen, 10m at most.",
    )
    absolute_url: bool = Field(
        default=False,
        description="Whether it gets addresses whole, with `{base_url}`, instead of from its own root.",
    )
    new_tab: bool = Field(
        default=True, description="Whether it opens in a tab of the browser, instead of one of JupyterLab."
    )
    keeps_session: bool = Field(
        default=False,
        description="Whether all its traffic counts as use of the session, instead of only opening it.",
    )

    @model_validator(mode="after")
    def _listens_on_its_socket(self) -> Self:
        if not contract.listens(self.command, self.environment.values()):
            raise ValueError(
                f"the app must listen on a Unix socket; name {contract.SOCKET} in its command or environment"
            )
        return self

    def told(self, name: str) -> contract.SessionApp:
        """Return what a session gets of it."""
        values = self.model_dump(exclude={"start_timeout"})
        return contract.SessionApp(name=name, start_timeout=self.start_timeout.total_seconds(), **values)


def findings(apps: Mapping[str, App]) -> Iterator[FindingError]:
    """Find apps that are too many, or too much, for a session's environment."""
    if len(apps) > contract.MOST:
        yield FindingError(("apps",), f"there are {len(apps)} apps, and a session takes {contract.MOST}")
    elif (size := len(variable(apps))) > contract.LARGEST:
        yield FindingError(
            ("apps",),
            f"the apps have {size} characters together, and a session takes {contract.LARGEST}; use smaller icons",
        )


def variable(apps: Mapping[str, App]) -> str:
    """Return the value of the environment variable that tells a session of its apps."""
    return contract.dump_apps(app.told(name) for name, app in apps.items())
