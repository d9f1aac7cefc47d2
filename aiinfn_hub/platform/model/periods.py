"""Sections of the platform file that hold for a time: reservations and grants."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from .fields import (
    Begin,
    End,
    GroupPath,
    Name,
    Section,
    UserName,
)


class Reservation(Section):
    """Accelerators that are kept for one project in a period, for example a hackathon's week.

    Sessions of other projects get only the rest in that time, and one that would reach into it ends before it.
    """

    title: str = Field(
        min_length=1, max_length=80, description="What it is for; shown to those who cannot use the devices."
    )
    project: Name = Field(description="The project they are kept for.")
    accelerator: Name = Field(description="What is kept.")
    count: int | None = Field(
        default=None,
        ge=1,
        description="How many devices are kept; `devices` of the accelerator must then be known. Default: all of them.",
    )
    begin: Begin = Field(
        alias="from", description="From when. A date alone means its first moment; without a zone, UTC."
    )
    end: End = Field(
        alias="to", description="Until when. A date alone includes that day; without a zone, UTC."
    )
    batch: bool = Field(
        default=True,
        description="Whether jobs of other projects may use the devices while they are idle. They give way to sessions.",
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.end <= self.begin:
            raise ValueError("it ends before it begins")
        return self

    def holds(self, at: datetime) -> bool:
        """Return whether the devices are kept at a time."""
        return self.begin <= at < self.end


class Grant(Section):
    """What some people may use for a time, beyond the lists of their project.

    It makes them members of the project as far as it goes: somebody who belongs to the project by nothing else may use
    what the grant lists, and no more. Reservations and limits hold all the same.
    """

    project: Name = Field(description="The project in whose name it is used.")
    groups: tuple[GroupPath, ...] = Field(
        default=(),
        description="IAM groups whose members get it. Without `groups` and `people`, all of the project do.",
    )
    people: tuple[UserName, ...] = Field(
        default=(), description="Names of people, as in the hub, who get it."
    )
    accelerators: tuple[Name, ...] | None = Field(
        default=None,
        description="Accelerators that they may use, even if the project or `groups` of the accelerator leaves them out. "
        "Default: those of the project.",
    )
    begin: Begin | None = Field(
        default=None, alias="from", description="From when; written like `until`. Default: always."
    )
    until: End = Field(
        description="Until when. A date alone includes that day; without a zone, UTC. Sessions end then at the latest."
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.begin is not None and self.until <= self.begin:
            raise ValueError("it ends before it begins")
        if not self.groups and not self.people and not self.accelerators:
            raise ValueError("it gives nothing: name people or groups, or accelerators for the whole project")
        return self

    def holds(self, at: datetime) -> bool:
        """Return whether it can be used at a time."""
        return (self.begin is None or self.begin <= at) and at < self.until
