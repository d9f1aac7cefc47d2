"""The API of vkd as pydantic models: what the hub, the Lab's server extension and the command line exchange with it.

This module imports pydantic only, so that a user image needs nothing else of the hub half. Times are UTC. All paths
start with `PREFIX` below vkd's own root, which behind JupyterHub is ``/services/vkd``.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

PREFIX: Final = "/api/v1"
SNAPSHOT_ROOT: Final = ".aiinfn/jobs"
"""Folder in the person's home under which inputs are snapshotted; relative to the home."""
RECORD_SEPARATOR: Final = "\x1e"
"""Starts a line of a job's standard output that is a `RunnerRecord` instead of log text (RFC 7464)."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Model):
    """Every error of the API: a reason from `platform.refusal.Reason`, one sentence, and what to do."""

    reason: str
    message: str
    hint: str = ""
    field: str | None = None


class JobState(StrEnum):
    """Where a job is. The last three are final."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    JobState.QUEUED: frozenset({JobState.STARTING, JobState.CANCELLED, JobState.FAILED}),
    JobState.STARTING: frozenset({JobState.RUNNING, JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.QUEUED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class Cause(StrEnum):
    """Why a job changed its state; a small fixed set, kept in its history."""

    SUBMITTED = "submitted"
    PLACED = "placed"
    """It got what it asked for and its process is being started."""
    STARTED = "started"
    COMPLETED = "completed"
    ERROR = "error"
    """Its own code ended with an error."""
    PREEMPTED = "preempted"
    """Its device was needed for a session; it waits again."""
    INTERRUPTED = "interrupted"
    """The platform was stopped under it; it waits again."""
    DEVICE_LOST = "device_lost"
    """Its device vanished; it waits again."""
    TIME_LIMIT = "time_limit"
    CANCELLED = "cancelled"
    LOST = "lost"
    """Its process disappeared without a word, e.g. the machine was restarted."""
    NEVER_FITS = "never_fits"
    START_FAILED = "start_failed"


RelativePath = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class Work(_Model):
    """What a job executes.

    Attributes
    ----------
    path
        The notebook or script, relative to the person's home, ``/``-separated, without ``..``.
    snapshot
        The copy made at submission that is executed, relative to the home, below `SNAPSHOT_ROOT`.
    kernel
        Notebooks: name of the kernelspec.
    parameters
        Notebooks: values injected after the cell tagged ``parameters``.
    arguments
        Scripts: command-line arguments.
    """

    kind: Literal["notebook", "script"]
    path: RelativePath
    snapshot: RelativePath
    kernel: Annotated[str, StringConstraints(max_length=200)] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=200)
    arguments: list[Annotated[str, StringConstraints(max_length=4096)]] = Field(
        default_factory=list, max_length=200
    )


class JobRequest(_Model):
    """Body of ``POST jobs``. What is left out gets the platform's default; see ``GET platform``.

    The values are checked by the gate, not here, so that each refusal is a sentence about its field.
    """

    work: Work
    name: Annotated[str, StringConstraints(max_length=200)] | None = None
    project: Any = None
    queue: Any = None
    accelerator: Any = None
    count: Any = None
    image: Any = None
    size: Any = None
    time_limit: Any = None


class Progress(_Model):
    """How far a running notebook is."""

    cell: int
    """Number of the cell being executed, from 1."""
    cells: int


class JobError(_Model):
    """What stopped a job's own code."""

    name: str
    message: str
    cell: int | None = None
    traceback: str = ""


class Job(_Model):
    """A job as its owner sees it.

    Attributes
    ----------
    sentence
        The state in words, ready to be shown: "Waiting: 2nd in line in Opportunistic".
    position
        Place in its queue, from 1; only while queued.
    attempt
        Counts up at each start; 0 before the first.
    output, log_path
        Where the result appears, relative to the home.
    preemptions
        How often it gave way to a session.
    actions
        What the caller may do now: ``cancel``, ``rerun``.
    """

    id: str
    name: str
    owner: str
    project: str
    queue: str
    state: JobState
    cause: Cause
    sentence: str
    position: int | None = None
    accelerator: str
    accelerator_title: str
    simulated: bool = False
    count: int
    image: str
    size: str
    priority: int
    time_limit: int
    """Seconds."""
    work: Work
    output: str
    attempt: int
    preemptions: int
    progress: Progress | None = None
    error: JobError | None = None
    exit_code: int | None = None
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    updated: datetime
    rerun_of: str | None = None
    actions: list[Literal["cancel", "rerun"]] = Field(default_factory=list)


class JobPage(_Model):
    """Answer of ``GET jobs``: newest first.

    With ``since`` (the `updated_through` of an earlier answer) only jobs changed after it are listed.
    """

    jobs: list[Job]
    next: str | None = None
    """Cursor of the next page, or None at the end."""
    updated_through: int
    """Number of the last change that this answer includes; pass it as ``since``."""
    active: int
    """Jobs of the caller's view that are not final, on all pages."""


class HistoryEntry(_Model):
    """One change of a job's state."""

    time: datetime
    state: JobState
    cause: Cause
    attempt: int
    message: str


class DryRun(_Model):
    """Answer of ``POST jobs?dry_run=1``: the request would be accepted."""

    sentence: str
    ahead: int
    """Jobs that would start earlier."""


class Choice(_Model):
    """An image, size or project that the caller may choose."""

    name: str
    title: str
    description: str = ""


class SizeChoice(Choice):
    """A size with its figures."""

    cores: float
    memory: str


class Availability(_Model):
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

    kind: Literal["gpu", "mig", "fpga"]
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


class AvailabilityReading(_Model):
    """Answer of ``GET availability``."""

    accelerators: list[Availability]
    read_at: datetime
    """When the inventory last changed or was confirmed."""
    age: float
    """Seconds since then, by vkd's clock."""
    platform: str = ""
    """Name of the state of the platform file that is in force; when it changes, there may be other choices."""


class PlatformView(_Model):
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
    poll_seconds: float
    """How often a client should ask for changes at most."""
    read_at: datetime
    age: float


class UsageEntry(_Model):
    """Accelerator time of one project and person."""

    project: str
    person: str
    accelerator: str
    seconds: float
    """Device-seconds in the period."""
    jobs: int


class Usage(_Model):
    """Answer of ``GET usage``: batch use since a moment, of what the caller may see."""

    since: datetime
    entries: list[UsageEntry]


class ClaimRequest(_Model):
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


class ClaimState(StrEnum):
    """How far a session's claim is."""

    GRANTED = "granted"
    MAKING_ROOM = "making_room"
    """Batch jobs were told to stop."""
    WAITING = "waiting"
    """Everything is in use by sessions."""


class Claim(_Model):
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


class RunSpec(_Model):
    """What the runner in the job reads: everything that it needs to know.

    ``python -m aiinfn_lab.runner -`` reads it as JSON from standard input.
    """

    job: str
    attempt: int
    """0: not known where the description is written; the runner counts on from the output that it finds."""
    home: str
    """Absolute path of the person's home where the job runs."""
    work: Work
    output: str
    """Relative to the home: the executed notebook, or the script's log."""


class RunnerRecord(_Model):
    """A line of the runner's standard output behind `RECORD_SEPARATOR`."""

    type: Literal["progress", "error"]
    progress: Progress | None = None
    error: JobError | None = None


def output_path(work: Work, job_id: str) -> str:
    """Give the path of a job's result, beside its input: ``NAME.JOBID.ipynb``, or ``NAME.JOBID.log`` of a script.

    A stem that would make the name longer than file systems take (255 bytes) is shortened.
    """
    folder, _, filename = work.path.rpartition("/")
    stem = filename.rpartition(".")[0] or filename
    suffix = ".ipynb" if work.kind == "notebook" else ".log"
    ending = f".{job_id}{suffix}"
    short = stem.encode()[: 255 - len(ending.encode())].decode(errors="ignore")
    return f"{folder}/{short}{ending}" if folder else f"{short}{ending}"
