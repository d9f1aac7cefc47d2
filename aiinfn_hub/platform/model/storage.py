"""Storage: the folders of sessions and jobs."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from .fields import (
    GROUPS,
    GroupPath,
    Name,
    Section,
)
from .storage_kinds.base import ANYBODY, StorageSource
from .storage_kinds.table import AnyStorage


class StorageUse(StrEnum):
    """What a storage is for."""

    HOME = "home"
    SHARE = "share"
    SCRATCH = "scratch"


class Storage(Section):
    """A folder that sessions and jobs see.

    Where its files are stands under the name of the back end, with one of the kinds below. Kubernetes has `claim` and `volume`, one machine `folder`.
    """

    title: str = Field(min_length=1, max_length=80, description="What people call it.")
    use: StorageUse = Field(
        description="A person's home, a share among people, or scratch space that goes with the session."
    )
    mount: str = Field(
        pattern=r"^(/[A-Za-z0-9._-]+)+$", description="Where it is in a session, as an absolute path."
    )
    projects: tuple[Name, ...] | None = Field(
        default=None, description="Projects whose sessions and jobs see it. Default: every project."
    )
    groups: tuple[GroupPath, ...] | None = Field(
        default=None, description=f"{GROUPS} A home is for everybody: use `projects` there."
    )
    read_only: bool = Field(
        default=False,
        description="Whether it can only be read. On the local back end, permissions of the folder have to see to it.",
    )
    kubernetes: AnyStorage | None = Field(
        default=None,
        description="Kubernetes: where it is, e.g. `{kind: claim, claim: homes}`. A home or a share must have it; scratch space is an "
        "emptyDir by default.",
    )
    local: AnyStorage | None = Field(
        default=None,
        description="Local back end: where a share or scratch space is, e.g. `{kind: folder, path: /srv/shares}`. Scratch space is a folder "
        "for each person by default; a home needs none.",
    )

    @field_validator("kubernetes")
    @classmethod
    def _a_pod_can_have_it(cls, value: StorageSource | None) -> StorageSource | None:
        return _projected(value, StorageSource.pod_volume.__name__)

    @field_validator("local")
    @classmethod
    def _a_machine_can_have_it(cls, value: StorageSource | None) -> StorageSource | None:
        return _projected(value, StorageSource.local_folder.__name__)

    @model_validator(mode="after")
    def _homes_are_for_everybody(self) -> Self:
        if self.use is StorageUse.HOME and self.groups is not None:
            raise ValueError("a home cannot be for some groups only; restrict it by projects")
        return self


def _projected(value: StorageSource | None, projection: str) -> StorageSource | None:
    """Refuse, by the kind's own sentence, what a back end cannot have."""
    if value is not None:
        project: Callable[..., Any] = getattr(value, projection)
        project(ANYBODY)
    return value
