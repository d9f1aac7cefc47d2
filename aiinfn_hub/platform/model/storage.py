"""Storage: the folders of sessions and jobs."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from .fields import (
    GROUPS,
    Folder,
    GroupPath,
    LocalPath,
    Name,
    Section,
    VolumeSource,
)


class StorageKind(StrEnum):
    """How a folder reaches a session."""

    HOME = "home"
    SHARE = "share"
    SCRATCH = "scratch"


class Storage(Section):
    """A folder that sessions and jobs see."""

    title: str = Field(min_length=1, max_length=80, description="What people call it.")
    kind: StorageKind = Field(
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
    volume: VolumeSource | None = Field(
        default=None,
        description="Kubernetes: the volume as in a pod, e.g. `{persistentVolumeClaim: {claimName: homes}}`. "
        "A home or a share must have one; scratch space is an emptyDir by default.",
    )
    sub_path: Folder | None = Field(
        default=None,
        description="Kubernetes: folder in the volume; `{person}` and `{project}` become their slugs. The kubelet makes it "
        "like the volume's own top folder, which `kubernetes.group_id` must therefore be able to write to.",
    )
    path: LocalPath | None = Field(
        default=None,
        description="Local back end: the folder of this machine that a share or scratch space stands for; `{person}` and `{project}` "
        "become their slugs. Sessions and jobs find a link to it in the home, named as the storage (and, with `{project}`, the "
        "project). A home needs none.",
    )
    read_only: bool = Field(
        default=False,
        description="Whether it can only be read. On the local back end, permissions of the folder have to see to it.",
    )

    @model_validator(mode="after")
    def _homes_are_for_everybody(self) -> Self:
        if self.kind is StorageKind.HOME and self.groups is not None:
            raise ValueError("a home cannot be for some groups only; restrict it by projects")
        return self
