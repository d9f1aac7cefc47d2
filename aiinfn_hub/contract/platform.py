"""What the platform offers to the caller, what is free of it, and what was used."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from .base import Answer, Open

BackendName = Literal["local", "kubernetes"]
NoticeCode = Literal[
    "no_resource", "no_labels", "shared", "credentials_refused", "rights_missing", "refuses", "pod_refused"
]


class Choice(Answer):
    """An image, size or project that the caller may choose."""

    name: str
    title: str
    description: str = ""


class SizeChoice(Choice):
    """A size with its figures."""

    cores: float
    memory: str


class Availability(Answer):
    """What there is of one accelerator now.

    ``total = free + sessions + batch + others + offline``; batch makes room for sessions.
    """

    accelerator: str
    total: int
    free: int
    sessions: int
    batch: int
    others: int = 0
    """Devices that something else in the cluster holds: no session and no job of this platform."""
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
    queued: int
    running: int


class ProjectChoice(Choice):
    """A project of the caller."""

    manager: bool
    sizes: list[str]
    images: list[str]
    accelerators: list[str]


class NodeNotice(Answer):
    """Something about the cluster that an operator should know; see `aiinfn_hub.kube.inventory.NodeWarning`."""

    code: Open[NoticeCode]
    accelerator: str
    nodes: tuple[str, ...] = ()
    number: int = 0
    label: str = ""
    found: tuple[str, ...] = ()


class AvailabilityReading(Answer):
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


class PlatformView(Answer):
    """Answer of ``GET platform``: what the caller may use."""

    title: str
    version: str
    backend: Open[BackendName]
    user: str
    admin: bool
    accelerators: list[AcceleratorChoice]
    images: list[Choice]
    sizes: list[SizeChoice]
    projects: list[ProjectChoice]
    queues: list[QueueChoice]
    default_time_limit: int
    """Seconds."""
    keep_jobs: int = 0
    """Seconds after its end after which a job is deleted."""
    max_pinned_jobs: int = 0
    """Jobs that one person may pin, so that they are kept whatever their age."""
    poll_interval: float
    """How often a client should ask for changes at most."""
    read_at: datetime
    age: float


class UsageEntry(Answer):
    """Accelerator time of one project and person."""

    project: str
    user: str
    accelerator: str
    device_seconds: float
    """Device-seconds in the period."""
    jobs: int


class Usage(Answer):
    """Answer of ``GET usage``: batch use since a moment, of what the caller may see."""

    since: datetime
    entries: list[UsageEntry]
