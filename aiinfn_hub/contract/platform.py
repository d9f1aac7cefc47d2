"""The part of vkd's API that is about the platform and its sessions; `contract` has it all."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Model(BaseModel):
    """What all parts of the contract have in common: nothing unknown is let pass."""

    model_config = ConfigDict(extra="forbid")


MOST_LABELS: Final = 10
"""Labels that one job may have."""
Labels = Annotated[list[Annotated[str, StringConstraints(max_length=200)]], Field(max_length=100)]
"""Words that a person gives to jobs, such as ``paper-2026``; `inputs.check_labels` says what they may be."""


class Choice(Model):
    """An image, size or project that the caller may choose."""

    name: str
    title: str
    description: str = ""


class SizeChoice(Choice):
    """A size with its figures."""

    cores: float
    memory: str


class Availability(Model):
    """What there is of one accelerator now.

    ``total = free + sessions + batch + offline``; batch makes room for sessions.
    """

    accelerator: str
    total: int
    free: int
    sessions: int
    batch: int
    offline: int = 0
    """Devices that vanished or are taken out."""
    queued: int
    """Jobs waiting for it."""
    waiting_sessions: int = 0
    next_session_end: datetime | None = None
    """The latest moment at which the first of its sessions ends."""
    simulated: bool | None = None
    """Whether these devices are pretended ones; None: as the platform file says."""


class AcceleratorChoice(Choice):
    """An accelerator that the caller may choose, with what there is of it."""

    kind: str
    """A name out of the platform file's own kinds, such as ``gpu``; a newer vkd may have others."""
    kind_title: str = ""
    """What people call this kind, in the language of the request."""
    memory: str | None
    max_per_session: int
    max_per_job: int
    simulated: bool
    projects: list[str]
    images: list[str]
    availability: Availability


class QueueChoice(Choice):
    """A queue that the caller may use, with its length."""

    projects: list[str]
    accelerators: list[str]
    """May hold ``none``: CPU only."""
    priority: int
    max_time: int
    """Seconds."""
    waiting: int
    running: int


class ProjectChoice(Choice):
    """A project of the caller."""

    manager: bool
    sizes: list[str]
    images: list[str]
    accelerators: list[str]


class NodeNotice(Model):
    """Something about the cluster's nodes that an operator should know; see `aiinfn_hub.kube.inventory.NodeNotice`."""

    code: Literal["no_resource", "no_labels", "shared"]
    accelerator: str
    nodes: tuple[str, ...] = ()
    number: int = 0
    label: str = ""
    found: tuple[str, ...] = ()


class AvailabilityReading(Model):
    """Answer of ``GET availability``."""

    accelerators: list[Availability]
    read_at: datetime
    """When the inventory last changed or was confirmed."""
    age: float
    """Seconds since then, by vkd's clock."""
    platform: str = ""
    """Name of the state of the platform file that is in force; when it changes, there may be other choices."""
    notices: list[NodeNotice] = Field(default_factory=list)
    """For operators, through the hub; empty for everybody else."""


class PlatformView(Model):
    """Answer of ``GET platform``: what the caller may use."""

    title: str
    version: str
    backend: Literal["local", "kubernetes"]
    person: str
    admin: bool
    accelerators: list[AcceleratorChoice]
    images: list[Choice]
    sizes: list[SizeChoice]
    projects: list[ProjectChoice]
    queues: list[QueueChoice]
    job_default_time: int
    """Seconds."""
    keep_jobs: int = 0
    """Seconds after its end after which a job is deleted."""
    pinned_jobs: int = 0
    """Jobs that one person may pin, so that they are kept whatever their age."""
    poll_seconds: float
    """How often a client should ask for changes at most."""
    read_at: datetime
    age: float


class UsageEntry(Model):
    """Accelerator time of one project and person."""

    project: str
    person: str
    accelerator: str
    seconds: float
    """Device-seconds in the period."""
    jobs: int


class Usage(Model):
    """Answer of ``GET usage``: batch use since a moment, of what the caller may see."""

    since: datetime
    entries: list[UsageEntry]


class ClaimRequest(Model):
    """Body of ``PUT sessions/{id}``, sent by the hub when a session with an accelerator starts.

    ``pid`` and ``pid_started`` are sent by a second PUT once the session runs, so that vkd notices its end even
    while the hub is down.
    """

    owner: str
    project: str
    accelerator: str
    count: int = Field(ge=1)
    until: datetime
    """When the session ends at the latest."""
    pid: int | None = None
    pid_started: float | None = None
    """Start of that process, seconds since the epoch, as psutil gives it."""


MOST_REVOKED: Final = 1000
"""Tokens that one message about revoked ones names."""


class Revoked(Model):
    """Body of ``POST revocations``, sent by the hub when it deletes tokens before their time."""

    token_ids: list[Annotated[str, Field(max_length=64)]] = Field(max_length=MOST_REVOKED)


class ClaimState(StrEnum):
    """How far a session's claim is."""

    GRANTED = "granted"
    MAKING_ROOM = "making_room"
    """Batch jobs were told to stop."""
    WAITING = "waiting"
    """Everything is in use by sessions."""


class Claim(Model):
    """A session's hold on devices."""

    id: str
    state: ClaimState
    sentence: str
    devices: list[str] = Field(default_factory=list)
    """Device ids, once granted."""
    environment: dict[str, str] = Field(default_factory=dict)
    """What the session's process gets, e.g. CUDA_VISIBLE_DEVICES."""
    position: int | None = None
    """Place among waiting sessions, from 1."""
