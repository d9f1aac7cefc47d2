"""Sections of the platform file that are not about single things: the cluster, and the limits of everything."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from aiinfn_hub.contract.units import Duration, Memory

from .fields import (
    GroupPath,
    Name,
    Section,
    VolumeSource,
)


class BackendKind(StrEnum):
    """Where sessions and jobs run."""

    LOCAL = "local"
    KUBERNETES = "kubernetes"


class SessionSettings(Section):
    """Where sessions run."""

    backend: BackendKind = Field(
        default=BackendKind.LOCAL,
        description="The back end of sessions: processes of this machine, or pods.",
    )


class BatchSettings(Section):
    """Where batch jobs run."""

    backend: BackendKind | None = Field(
        default=None,
        description="The back end of batch jobs: processes of this machine, or Jobs of Kubernetes with Kueue. Default: that of sessions, "
        "which it must be for now, because it makes room for them.",
    )


Scope = Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5B\x5D-\x7E]+$", max_length=200)]
"""One scope of OAuth 2 (RFC 6749, 3.3)."""


class IamSettings(Section):
    """Who may sign in beside what projects say, and what sessions get from IAM. Its address and the client are in the environment."""

    required_groups: tuple[GroupPath, ...] = Field(
        default=(),
        description="IAM groups of which everybody must be in one, operators too, beside belonging to a project. "
        "Default: a project is enough.",
    )
    clock_skew: Duration = Field(
        default=timedelta(seconds=60),
        le=timedelta(minutes=10),
        description="How far the clocks of IAM and of the hub may differ.",
    )
    session_token_scopes: tuple[Scope, ...] = Field(
        default=(),
        description="Scopes of the IAM tokens that a session may ask the hub for, e.g. `storage.read:/`; the client must be "
        "allowed to have them. Default: sessions get no IAM token.",
    )
    withdrawn_grace: Duration = Field(
        default=timedelta(minutes=15),
        description="How long sessions and running jobs go on of somebody whom no group lets in any more, whose tokens IAM "
        "refuses, or who left their project. Access to them ends at once; they are stopped, and the jobs held, if IAM still says "
        "so after this time.",
    )


InstanceName = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
"""Short enough that names made of it are readable."""


class KubernetesSettings(Section):
    """Where things are in the cluster; used by the `kubernetes` back end only."""

    sessions_namespace: Name = Field(
        default="aiinfn-sessions", description="Namespace of the sessions' pods."
    )
    batch_namespace: Name = Field(
        default="aiinfn-batch", description="Namespace of the jobs, which Kueue manages."
    )
    system_namespace: Name = Field(
        default="aiinfn-system", description="Namespace of hub and vkd, and of their service accounts."
    )
    instance: InstanceName | None = Field(
        default=None,
        description="Name of this platform among those of the cluster: letters, digits and `-`. Every object that no namespace holds has it in its "
        "name, and everything that `aiinfn-hub kueue apply` makes is marked with it. Default: the name of the system namespace.",
    )
    session_priority: int = Field(
        default=1_000_000, ge=1, le=1_000_000_000, description="Value of the sessions' PriorityClass."
    )
    batch_priority: int = Field(
        default=-1000, ge=-2_147_483_648, le=-1, description="Value of the jobs' PriorityClass."
    )
    user_id: int = Field(
        default=1000,
        ge=1,
        le=2**31 - 1,
        description="User id (uid) under which sessions and jobs run; never root.",
    )
    group_id: int = Field(
        default=1000,
        ge=1,
        le=2**31 - 1,
        description="Group id (gid) under which sessions and jobs run, and to which volumes are given.",
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When a node fetches an image, as in a pod."
    )
    cpu_limit_ratio: float | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="CPU limit of every session and job as a multiple of the cores of its size, for a cluster whose quota demands "
        "`limits.cpu`. Default: no limit, so that idle cores of a node may be used.",
    )
    batch_cores: float = Field(
        default=1024, gt=0, le=1_000_000, description="Processor cores that batch may use in all."
    )
    batch_memory: Memory = Field(default=4 * 2**40, description="Memory that batch may use in all.")
    job_time_to_live: Duration = Field(
        default=timedelta(days=1),
        description="How long the Job object of a finished job is kept in the cluster; its history stays in vkd.",
    )
    hub_connect_ip: str | None = Field(
        default=None,
        description="Address at which pods reach the hub. Default: the Service `aiinfn-hub` in the system namespace.",
    )
    volumes: tuple[VolumeSource, ...] = Field(
        default=(), description="Further volumes of every session and job, as in a pod."
    )
    volume_mounts: tuple[dict[str, Any], ...] = Field(
        default=(), description="Where the further volumes are mounted, as in a container."
    )

    @property
    def instance_name(self) -> str:
        """Name of this platform among those of the cluster."""
        return self.instance or self.system_namespace


class Limits(Section):
    """What holds everywhere. Where something else sets a limit as well, the smallest wins."""

    session_default: Duration = Field(
        default=timedelta(hours=8), description="How long a session lasts when nothing is said."
    )
    session_max: Duration = Field(
        default=timedelta(hours=24),
        description="Longest session. An accelerator, a size, a project and the end of a grant may say less.",
    )
    session_extension: Duration = Field(
        default=timedelta(hours=1),
        description="By how much one extension lengthens a session. It can be had once less than that is left, and gives less "
        "where the longest session, a grant or a reservation ends earlier.",
    )
    session_extensions: int = Field(
        default=3, ge=0, le=1000, description="How often a session can be extended; 0 means never."
    )
    session_overtime: Duration | None = Field(
        default=None,
        description="How far extensions may lead beyond the longest session. Default: not at all, so that only a session that "
        "asked for less can be extended.",
    )
    session_warning: Duration = Field(
        default=timedelta(minutes=15),
        description="How long before its end a session warns of it, at most a tenth of its whole time; once more after two "
        "thirds of that.",
    )
    job_default: Duration = Field(
        default=timedelta(hours=1), description="Time limit of a job when nothing is said."
    )
    job_max: Duration = Field(
        default=timedelta(days=2), description="Longest job in a queue that sets no limit of its own."
    )
    session_start: Duration = Field(
        default=timedelta(minutes=5), description="How long a session may take to start, waiting included."
    )
    grace: Duration = Field(
        default=timedelta(seconds=10),
        description="Time that an evicted job has between SIGTERM and SIGKILL. On Kubernetes at least 2 s (the kubelet's "
        "own minimum) and at most 10 s.",
    )
    session_grace: Duration = Field(
        default=timedelta(seconds=30),
        le=timedelta(minutes=10),
        description="Time that a session's pod has between SIGTERM and SIGKILL, in which kernels can save; one that ends earlier "
        "waits for nothing. On Kubernetes only.",
    )
    jobs_waiting_per_person: int = Field(
        default=500, ge=1, description="Unfinished jobs that one person may have."
    )
    sweep_points_per_person: int = Field(
        default=5000, ge=1, description="Points of sweeps that one person may have waiting."
    )
    keep_jobs: Duration = Field(
        default=timedelta(days=90),
        description="How long after its end a job is kept, with its log and the copy of its input. Results beside the "
        "input are the person's own and stay.",
    )
    pinned_jobs_per_person: int = Field(
        default=100,
        ge=0,
        description="Jobs that one person may pin, so that they are kept whatever their age.",
    )
    usage_half_life: Duration = Field(
        default=timedelta(days=7), description="How fast past use stops to count in the fair order of jobs."
    )
    accelerators_per_person: int | None = Field(
        default=None,
        ge=0,
        description="Accelerators of all kinds that the sessions of one person may hold at once. Default: no limit.",
    )
    accelerators_per_project: int | None = Field(
        default=None,
        ge=0,
        description="Accelerators of all kinds that the sessions of one project may hold at once. Default: no limit.",
    )

    @model_validator(mode="after")
    def _defaults_within_limits(self) -> Self:
        for door in ("session", "job"):
            if getattr(self, f"{door}_default") > getattr(self, f"{door}_max"):
                raise ValueError(f"{door}_default is longer than {door}_max")
        return self
