"""Sizes, projects and queues: who may use how much."""

from __future__ import annotations

from pydantic import Field

from aiinfn_hub.contract.units import Duration, Memory

from .fields import (
    GROUPS,
    GroupPath,
    Name,
    Section,
)


class Size(Section):
    """Processor cores and memory of a session or a job."""

    title: str = Field(min_length=1, max_length=60, description="Its name on the form.")
    cores: float = Field(gt=0, le=1024, description="Processor cores; a part of one is allowed.")
    memory: Memory = Field(description="Memory; what uses more is ended.")
    groups: tuple[GroupPath, ...] | None = Field(default=None, description=GROUPS)
    session_time: Duration | None = Field(
        default=None, description="Longest session of this size. Default: `limits.session_max`."
    )


class Project(Section):
    """People who share allowances and queues, told by their IAM groups."""

    title: str = Field(min_length=1, max_length=80, description="Its name on the form.")
    groups: tuple[GroupPath, ...] = Field(
        min_length=1,
        description="IAM groups whose members belong to it, as whole paths without a leading slash.",
    )
    managers: tuple[GroupPath, ...] = Field(
        default=(),
        description="IAM groups whose members belong to it and see and stop all of its jobs and sessions.",
    )
    accelerators: tuple[Name, ...] | None = Field(
        default=None, description="Accelerators it may use; an empty list leaves CPU only. Default: all."
    )
    sizes: tuple[Name, ...] | None = Field(default=None, description="Sizes it may use. Default: all.")
    images: tuple[Name, ...] | None = Field(default=None, description="Images it may use. Default: all.")
    session_time: Duration | None = Field(
        default=None, description="Longest session of its members. Default: `limits.session_max`."
    )
    max_accelerators: int | None = Field(
        default=None,
        ge=0,
        description="Accelerators of all kinds that its sessions may hold at once. "
        "Default: `limits.accelerators_per_project`.",
    )


class Queue(Section):
    """A line in which batch jobs wait, open to some projects and for some accelerators."""

    title: str = Field(min_length=1, max_length=80, description="Its name in the Lab.")
    description: str = Field(default="", max_length=200, description="What it is for, in one line.")
    projects: tuple[Name, ...] | None = Field(
        default=None, description="Projects whose jobs may wait in it. Default: every project."
    )
    groups: tuple[GroupPath, ...] | None = Field(default=None, description=GROUPS)
    accelerators: tuple[Name, ...] | None = Field(
        default=None,
        description="What it serves; `none` stands for CPU only. Default: all of them, and none.",
    )
    priority: int = Field(
        default=0, ge=-1000, le=1000, description="Jobs of a queue with a higher one start first."
    )
    max_time: Duration | None = Field(
        default=None, description="Longest job in it. Default: `limits.job_max`."
    )
