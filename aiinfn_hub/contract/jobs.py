"""Jobs: what people ask for, and what they see of it.

The contract is the API of vkd as pydantic models: what the hub, the Lab's server extension, the runner and the command line
exchange with it. It imports pydantic only, so that a user image needs nothing else of the hub half. Times are UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from .base import Answer, Open, Request
from .runner import JobError, Progress, Scalar, StartupStep
from .states import Cause, JobState
from .sweeps import SweepProgress, SweepRequest

RelativePath = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Labels = Annotated[list[Annotated[str, StringConstraints(max_length=200)]], Field(max_length=100)]
"""Words that a person gives to jobs, such as ``paper-2026``; vkd's `services.validation` says what they may be."""
WorkKind = Literal["notebook", "script", "command"]
JobAction = Literal["cancel", "rerun", "delete", "edit"]


class Work(Answer):
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

    kind: Open[WorkKind]
    path: str
    snapshot: str
    folder: str | None = None
    command: str | None = None
    kernel: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    arguments: list[str] = Field(default_factory=list)
    start_cell: int | None = None
    state: str | None = None


class WorkRequest(Request):
    """What a job is to execute; `Work` says what the keys mean."""

    kind: WorkKind
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


class JobDescription(BaseModel):
    """What a person says about a job; it changes nothing in how the job runs.

    It is kept as one document. A field that is declared here, with a default, is taken and checked at submission, kept, shown
    and handed on when the job is run again, in all programs; a text, ``str | None``, is an option of ``aiinfn submit`` too.
    """

    name: str | None = Field(default=None, description="Under which it is shown. Default: the file's name.")
    labels: list[str] = Field(default_factory=list)


class JobRequest(JobDescription, Request):
    """Body of ``POST jobs``. What is left out gets the platform's default; see ``GET platform``.

    The values are checked by the gate, not here, so that each refusal is a sentence about its field.
    """

    name: Annotated[str, StringConstraints(max_length=200)] | None = None
    labels: Labels = Field(default_factory=list)
    work: WorkRequest
    project: Any = None
    queue: Any = None
    accelerator: Any = None
    count: Any = None
    image: Any = None
    size: Any = None
    time_limit: Any = None
    sweep: SweepRequest | None = None


class Job(JobDescription, Answer):
    """A job as its owner sees it, or a sweep of jobs.

    Attributes
    ----------
    final
        It is over, and its state does not change any more. Clients need not know all states for it.
    sentence
        The state in words, ready to be shown in the language of the request: "Waiting: 2nd in line in Opportunistic".
    code, facts
        What the sentence says, for programs; docs/languages.md.
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
    state: Open[JobState]
    final: bool
    cause: Open[Cause]
    sentence: str
    code: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)
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
    pinned: bool = False
    kept_until: datetime | None = None
    actions: list[Open[JobAction]] = Field(default_factory=list)


class JobPage(Answer):
    """Answer of ``GET jobs``: newest first.

    With ``since_revision`` (the `revision` of an earlier answer) only jobs changed after it are listed.
    """

    jobs: list[Job]
    next_cursor: str | None = None
    """Cursor of the next page, or None at the end."""
    revision: int
    """Number of the last change that this answer includes; pass it as ``since_revision``."""
    active: int
    """Jobs of the caller's view that are not final, on all pages."""
    deleted: list[str] | None = Field(default_factory=list)
    """With ``since_revision``: jobs that were deleted after it. None: too many to tell, read the list anew."""
    searched_to: datetime | None = None
    """Of a search that did not reach the end: how far back this page looked; ``next_cursor`` leads on, also if there are few jobs."""


class HistoryEntry(Answer):
    """One change of a job's state.

    Attributes
    ----------
    startup
        What happened while the attempt started that begins with it, oldest first. It is kept after the pod is gone.
    """

    time: datetime
    state: Open[JobState]
    cause: Open[Cause]
    attempt: int
    message: str
    """What happened in words, in the language of the request."""
    code: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)
    """The same for programs."""
    startup: list[StartupStep] = Field(default_factory=list)


CheckSubject = Literal[
    "allowed", "fits", "limit", "queue", "time", "sweep", "kernel", "code", "packages", "files", "output"
]
CheckVerdict = Literal["ok", "notice", "problem"]


class Check(Answer):
    """Something to know before submitting.

    Attributes
    ----------
    what
        ``allowed`` to ``sweep`` are vkd's, the others those of who looks at the file; in this order.
    verdict
        ``notice``: look at it, it may be right; ``problem``: it would wait for ever, or is sure to fail.
    field
        Key of the request that it is about.
    code, facts
        What the sentence says, for programs; empty where only the sentence is known.
    """

    what: Open[CheckSubject]
    verdict: Open[CheckVerdict]
    sentence: str
    hint: str = ""
    field: str | None = None
    code: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)


class DryRun(Answer):
    """Answer of ``POST jobs?dry_run=1``: the request would be accepted."""

    sentence: str
    ahead: int
    """Jobs that would start earlier."""
    checks: list[Check] = Field(default_factory=list)


class RunSpec(Answer):
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
