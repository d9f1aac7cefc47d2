"""The API of vkd as pydantic models: what the hub, the Lab's server extension and the command line exchange with it.

This module and its parts `contract_paths`, `contract_platform`, `contract_run`, `contract_states` and `contract_changes` import
pydantic only, so that a user image needs nothing else of the hub half. Times are UTC. All paths start with `PREFIX` below vkd's
own root, which behind JupyterHub is ``/services/vkd``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from .paths import (
    folder_copy,
    output_folder,
    output_path,
    point_output,
)
from .platform import (
    MOST_LABELS,
    MOST_REVOKED,
    AcceleratorChoice,
    Availability,
    AvailabilityReading,
    Choice,
    Claim,
    ClaimRequest,
    ClaimState,
    Labels,
    Model,
    NodeNotice,
    PlatformView,
    ProjectChoice,
    QueueChoice,
    Revoked,
    SizeChoice,
    Usage,
    UsageEntry,
)
from .runner import (
    MOST_RESOURCE_POINTS,
    MOST_STARTUP_STEPS,
    JobError,
    Progress,
    ResourcePoint,
    Resources,
    RunnerRecord,
    Scalar,
    StartupStep,
)
from .states import (
    FINAL,
    TRANSITIONS,
    Cause,
    JobState,
)

__all__ = [
    "CHECKPOINTS",
    "FINAL",
    "MOST_LABELS",
    "MOST_POINTS",
    "MOST_RESOURCE_POINTS",
    "MOST_REVOKED",
    "MOST_STARTUP_STEPS",
    "PREFIX",
    "RECORD_SEPARATOR",
    "SNAPSHOT_ROOT",
    "TRANSITIONS",
    "AcceleratorChoice",
    "Availability",
    "AvailabilityReading",
    "Cause",
    "Check",
    "Choice",
    "Claim",
    "ClaimRequest",
    "ClaimState",
    "DryRun",
    "HistoryEntry",
    "Job",
    "JobError",
    "JobPage",
    "JobRequest",
    "JobState",
    "Labels",
    "Model",
    "NodeNotice",
    "PlatformView",
    "Problem",
    "Progress",
    "ProjectChoice",
    "QueueChoice",
    "RelativePath",
    "ResourcePoint",
    "Resources",
    "Revoked",
    "RunSpec",
    "RunnerRecord",
    "Scalar",
    "SizeChoice",
    "StartupStep",
    "SweepPoint",
    "SweepProgress",
    "SweepRequest",
    "SweepTable",
    "Usage",
    "UsageEntry",
    "Work",
    "folder_copy",
    "output_folder",
    "output_path",
    "point_output",
]

PREFIX: Final = "/api/v1"
SNAPSHOT_ROOT: Final = ".aiinfn/jobs"
"""Folder in the person's home under which inputs are snapshotted; relative to the home."""
CHECKPOINTS: Final = ".aiinfn/checkpoints"
"""Folder in the person's home with one for each job that is not over, kept from one attempt to the next."""
RECORD_SEPARATOR: Final = "\x1e"
"""Starts a `RunnerRecord` in a job's standard output (RFC 7464); it ends with the line, and log text goes on behind it."""


class Problem(Model):
    """Every error of the API: a reason from `platform.refusal.Reason`, one sentence, and what to do."""

    reason: str
    message: str
    hint: str = ""
    field: str | None = None


RelativePath = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class Work(Model):
    """What a job executes.

    Attributes
    ----------
    path
        The notebook or script, relative to the person's home, ``/``-separated, without ``..``; of a command, `folder`.
    snapshot
        The copy of ``path`` made at submission that is executed, relative to the home, below `SNAPSHOT_ROOT`.
    folder
        A folder that was submitted as a whole: ``path`` is in it, and ``snapshot`` at the same place in a copy of it. The
        job runs in a copy of that copy, which is `output_folder`.
    command
        A line for the shell, which runs it at the top of the folder.
    kernel
        Notebooks: name of the kernelspec.
    parameters
        Notebooks: values injected after the cell tagged ``parameters``.
    arguments
        Scripts: command-line arguments.
    start_cell
        Notebooks that go on from a session: index, from 0, of the first cell that is executed. Those before keep their outputs.
    state
        The variables that the session's kernel had then, relative to the home, beside ``snapshot``. Only together with
        ``start_cell``.
    """

    kind: Literal["notebook", "script", "command"]
    path: RelativePath
    snapshot: RelativePath
    folder: RelativePath | None = None
    command: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    kernel: Annotated[str, StringConstraints(max_length=200)] | None = None
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=200)
    arguments: list[Annotated[str, StringConstraints(max_length=4096)]] = Field(
        default_factory=list, max_length=200
    )
    start_cell: int | None = Field(default=None, ge=0, le=1_000_000)
    state: RelativePath | None = None


MOST_POINTS: Final = 1000
"""Points that one sweep may have."""


class SweepRequest(Model):
    """Makes a sweep of a job: the same work, once for each point.

    Each point is a job of its own, so that one gives way to a session without the others, and starts as soon as one device
    is free. At most ``at_most`` of them are in the queue or run at a time.

    Attributes
    ----------
    points
        Values for each point, on top of the work's own parameters. A script gets each as ``--name=value``.
    """

    points: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_POINTS)
    at_most: int = Field(default=8, ge=1, le=MOST_POINTS)


class JobRequest(Model):
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
    sweep: SweepRequest | None = None
    labels: Labels = Field(default_factory=list)


class SweepProgress(Model):
    """How far a sweep is: its points by state. ``points`` is the sum of the others."""

    points: int
    at_most: int
    """Points in the queue or running at a time."""
    waiting: int = 0
    starting: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def over(self) -> int:
        """Points that have ended."""
        return self.succeeded + self.failed + self.cancelled


class Job(Model):
    """A job as its owner sees it, or a sweep of jobs.

    Attributes
    ----------
    sentence
        The state in words, ready to be shown: "Waiting: 2nd in line in Opportunistic".
    position
        Place in its queue, from 1; only while queued.
    attempt
        Counts up at each start; 0 before the first.
    output
        Where the result appears, relative to the home; of a sweep, the folder with one for each point.
    sweep
        Only of a sweep: it runs nothing itself, and its state is that of its points together.
    sweep_of, point
        Only of a point: its sweep, and its number from 1.
    values
        What the job recorded by ``aiinfn_lab.record``.
    preemptions
        How often it gave way to a session.
    kept_until
        When it is deleted by itself; None while it is not over, or if it is pinned, and of a point, which goes with its
        sweep.
    actions
        What the caller may do now: ``cancel``, ``rerun``, ``delete``, and ``edit`` (name, labels, pin).
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
    sweep: SweepProgress | None = None
    sweep_of: str | None = None
    point: int | None = None
    values: dict[str, Scalar] = Field(default_factory=dict)
    labels: list[str] = Field(default_factory=list)
    pinned: bool = False
    kept_until: datetime | None = None
    actions: list[Literal["cancel", "rerun", "delete", "edit"]] = Field(default_factory=list)


class JobPage(Model):
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
    deleted: list[str] | None = Field(default_factory=list)
    """With ``since``: jobs that were deleted after it. None: too many to tell, read the list anew."""
    searched_to: datetime | None = None
    """Of a search that did not reach the end: how far back this page looked; ``next`` leads on, also if there are few jobs."""


class SweepPoint(Model):
    """A row in the table of a sweep."""

    point: int
    """From 1."""
    job: str
    """The job that ran it last."""
    state: JobState
    sentence: str
    parameters: dict[str, Any]
    values: dict[str, Scalar]
    """What it recorded by ``aiinfn_lab.record``."""
    attempt: int
    started: datetime | None = None
    ended: datetime | None = None
    output: str
    carried: bool = False
    """It is a result of the sweep that this one runs again in part."""


class SweepTable(Model):
    """Answer of ``GET jobs/{id}/points``: all points, by number."""

    points: list[SweepPoint]


class HistoryEntry(Model):
    """One change of a job's state.

    Attributes
    ----------
    startup
        What happened while the attempt started that begins with it, oldest first. It is kept after the pod is gone.
    """

    time: datetime
    state: JobState
    cause: Cause
    attempt: int
    message: str
    startup: list[StartupStep] = Field(default_factory=list)


class Check(Model):
    """Something to know before submitting.

    Attributes
    ----------
    what
        ``allowed`` to ``sweep`` are vkd's, the others those of who looks at the file; in this order.
    verdict
        ``notice``: look at it, it may be right; ``problem``: it would wait for ever, or is sure to fail.
    field
        Key of the request that it is about.
    """

    what: Literal[
        "allowed", "fits", "limit", "queue", "time", "sweep", "kernel", "code", "packages", "files", "output"
    ]
    verdict: Literal["ok", "notice", "problem"]
    sentence: str
    hint: str = ""
    field: str | None = None


class DryRun(Model):
    """Answer of ``POST jobs?dry_run=1``: the request would be accepted."""

    sentence: str
    ahead: int
    """Jobs that would start earlier."""
    checks: list[Check] = Field(default_factory=list)


class RunSpec(Model):
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
