"""What the store holds, as plain objects."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from aiinfn_hub.contract.jobs import Job, Work
from aiinfn_hub.contract.records import (
    Kept,
    RecordRefusedError,
    check_values,
    merge_values,
)
from aiinfn_hub.contract.runner import (
    JobError,
    Progress,
    Scalar,
)
from aiinfn_hub.contract.states import FINAL, Cause, JobState
from aiinfn_hub.contract.sweeps import SweepProgress
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.selection import Selection

from .backend import StartupEvent

ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""What ids are made of: nothing that is mistaken for something else when read aloud."""
ACTIVE: Final = tuple(state for state in JobState if state not in FINAL)


_RENAMED: Final = {"at_most": "parallelism", "waiting": "queued"}
"""Keys of a sweep's progress in the rows of older databases."""


def _sweep_of(kept: Mapping[str, Any]) -> SweepProgress:
    return SweepProgress.model_validate({_RENAMED.get(key, key): value for key, value in kept.items()})


def new_id() -> str:
    """Make a job id of ten characters, the first a letter, so that it also is a file stem and a DNS label."""
    return secrets.choice(ALPHABET[:-8]) + "".join(secrets.choice(ALPHABET) for _ in range(9))


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def usable_values(found: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return those recorded values that can be shown: what a job said is checked again wherever it is read."""
    try:
        usable = check_values(found)
    except RecordRefusedError:
        usable = {}
        for name, value in found.items():
            with suppress(RecordRefusedError):
                usable |= check_values({name: value})
    return merge_values({}, usable)[0]


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that was granted and is about to be kept.

    Attributes
    ----------
    description
        What `aiinfn_hub.contract.jobs.JobDescription` has beside the name, without what was not said.
    """

    selection: Selection
    work: Work
    output: str
    name: str
    id: str
    created: datetime
    rerun_of: str | None = None
    idempotency_key: str | None = None
    digest: str | None = None
    sweep: SweepProgress | None = None
    sweep_of: str | None = None
    point: int | None = None
    swept: Mapping[str, Any] | None = None
    description: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A row of the jobs table.

    ``selection``, ``work`` and ``description`` stay plain JSON: a list of old jobs must not fail, or cost time, because the models have
    changed since. `grant` makes the objects.
    """

    id: str
    number: int
    change: int
    owner: str
    project: str
    queue: str
    accelerator: str
    count: int
    name: str
    state: JobState
    cause: Cause
    message: Message
    attempt: int
    preemptions: int
    selection: dict[str, Any]
    work: dict[str, Any]
    output: str
    progress: Progress | None
    error: JobError | None
    exit_code: int | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    updated: datetime
    cancelled_by: str | None
    rerun_of: str | None
    sweep: SweepProgress | None
    sweep_of: str | None
    point: int | None
    swept: dict[str, Any] | None
    recorded: dict[str, Scalar]
    description: dict[str, Any]
    pinned: bool
    snapshot: str
    idempotency_key: str | None
    digest: str | None

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> StoredJob:
        """Read a row."""
        values: dict[str, Any] = dict(row)
        values["state"] = JobState(values["state"])
        values["cause"] = Cause(values["cause"])
        # Most rows have neither: a list of many is read without looking at what is not there.
        if values["progress"] or values["error"]:
            told = Kept(
                {
                    kind: {"type": kind, kind: content}
                    for kind, content in (("progress", values["progress"]), ("error", values["error"]))
                    if content
                }
            ).records
            progress, error = told["progress"], told["error"]
            values["progress"] = Progress.model_validate(progress["progress"]) if progress else None
            values["error"] = JobError.model_validate(error["error"]) if error else None
        else:
            values["progress"] = values["error"] = None
        values["sweep"] = _sweep_of(values["sweep"]) if values["sweep"] else None
        values["recorded"] = usable_values(values["recorded"]) if values["recorded"] else {}
        values["description"] = values["description"] or {}
        values["pinned"] = bool(values["pinned"])
        return cls(**values)

    @property
    def final(self) -> bool:
        """Whether it is over."""
        return self.state in FINAL

    @property
    def labels(self) -> list[str]:
        """Words by which it is found."""
        found: list[str] = self.description.get("labels", [])
        return found

    def relabelled(self, labels: list[str]) -> StoredJob:
        """Return the job with other labels."""
        kept = {key: value for key, value in self.description.items() if key != "labels"}
        return replace(self, description=kept | ({"labels": labels} if labels else {}))

    def grant(self) -> tuple[Selection, Work]:
        """Return what was granted and what is executed, as objects."""
        return Selection.model_validate(self.selection), Work.model_validate(self.work)


@dataclass(frozen=True, slots=True)
class View:
    """Whose jobs a person sees.

    Attributes
    ----------
    projects
        Those the person manages.
    """

    person: str
    projects: frozenset[str] = frozenset()
    everything: bool = False

    def sees(self, job: StoredJob | Job) -> bool:
        """Return whether a job is in the view."""
        return self.everything or job.owner == self.person or job.project in self.projects


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of them are asked for.

    Attributes
    ----------
    sweep
        The points of this sweep; None: everything but points.
    search
        Words, folded, that must all be in what a job is searched by.
    label
        Only jobs with this label.
    since
        Only jobs changed after this change number; the order is then by last change.
    after
        Where the page before ended: ``(change, number)``; change is 0 when ordered by age.
    """

    sweep: str | None = None
    states: tuple[JobState, ...] = ()
    project: str | None = None
    owner: str | None = None
    search: tuple[str, ...] = ()
    label: str | None = None
    since: int | None = None
    after: tuple[int, int] | None = None
    limit: int = 25


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, all of it read at one moment.

    Attributes
    ----------
    deleted
        Ids of the jobs deleted since; None if they are too many.
    looked_to
        Number and time of the job at which a search stopped to look, of which more may be left.
    """

    jobs: list[StoredJob]
    more: bool
    through: int
    active: int
    deleted: list[str] | None = field(default_factory=list)
    looked_to: tuple[int, datetime | None] | None = None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One change of a job's state, as it is kept.

    Attributes
    ----------
    startup
        What happened while the attempt started that begins with it, oldest first.
    """

    time: datetime
    state: JobState
    cause: Cause
    attempt: int
    message: Message
    startup: list[StartupEvent] = field(default_factory=list)


class Applied(StrEnum):
    """What an update did to the store."""

    CHANGED = "changed"
    KNOWN = "known"
    """Told before: nothing to do."""
    ILLEGAL = "illegal"
    UNKNOWN_JOB = "unknown_job"


@dataclass(slots=True)
class Notes:
    """Small changes that are gathered and written together, at most once a second."""

    progress: dict[str, Progress] = field(default_factory=dict)
    recorded: dict[str, dict[str, Scalar]] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    startup: dict[tuple[str, int], list[StartupEvent]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.progress or self.recorded or self.moved or self.startup)


def snapshot_digest(path: str) -> str:
    """Return what a snapshot is found by: who shares it has the same."""
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()


def digest(body: Mapping[str, Any]) -> str:
    """Return a fingerprint of a request, to tell whether an idempotency key is used for the same one again.

    The snapshot's path and the state's are left out: the Lab makes a new copy for each click, and a double click must find its job.
    """
    work = {key: value for key, value in (body.get("work") or {}).items() if key not in {"snapshot", "state"}}
    text = json.dumps({**body, "work": work}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
