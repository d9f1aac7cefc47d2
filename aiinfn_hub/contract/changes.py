"""What is done with jobs after their submission: changed, deleted, many at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import Answer, Request
from .constants import MOST_TOGETHER
from .jobs import Job, Labels
from .problem_model import Problem

JobId = Annotated[str, StringConstraints(max_length=64)]


class JobChange(Request):
    """Body of ``PATCH jobs/{id}``; what is left out stays as it is.

    Attributes
    ----------
    labels
        All that it has from now on.
    pinned
        Whether it is kept whatever its age.
    """

    name: Annotated[str, StringConstraints(max_length=200)] | None = None
    labels: Labels | None = None
    pinned: bool | None = None


class BulkRequest(Request):
    """Body of ``POST jobs/bulk``: the same for many jobs.

    Attributes
    ----------
    add_labels, remove_labels
        Labels, for ``label``.
    """

    action: Literal["cancel", "rerun", "delete", "label"]
    ids: list[JobId] = Field(min_length=1, max_length=MOST_TOGETHER)
    add_labels: Labels = Field(default_factory=list)
    remove_labels: Labels = Field(default_factory=list)


class BulkResult(Answer):
    """What became of one of many jobs: the job (of ``rerun`` the new one, of ``delete`` none), or why not."""

    id: str
    job: Job | None = None
    problem: Problem | None = None


class BulkResults(Answer):
    """Answer of ``POST jobs/bulk``, in the order of the request, each job once."""

    results: list[BulkResult]


class Tombstone(Answer):
    """A deleted job of which something may be left in its owner's home.

    Attributes
    ----------
    snapshot
        Copy of its input that no other job uses; None if there is none.
    """

    id: str
    snapshot: str | None = None


class TombstoneAcknowledgement(Request):
    """Body of ``POST tombstones/acknowledge``: deleted jobs of which nothing is left in the home."""

    ids: list[JobId] = Field(max_length=MOST_TOGETHER)
