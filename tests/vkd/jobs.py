"""Jobs for the tests of the store."""

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

from aiinfn_hub.contract.jobs import Work
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.platform import gate
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.domain.backend import Update
from aiinfn_hub.vkd.domain.records import NewJob, new_id
from tests.vkd.world import platform

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PLATFORM = platform()
GROUPS = {"flavour": "ai-infn/flavour", "medical": "ai-infn/medical"}

Q, S, R = JobState.QUEUED, JobState.STARTING, JobState.RUNNING
OK, BAD, OFF = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED
CAUSES = {
    Q: Cause.PREEMPTED,
    S: Cause.PLACED,
    R: Cause.STARTED,
    OK: Cause.COMPLETED,
    BAD: Cause.ERROR,
    OFF: Cause.CANCELLED,
}


def undo_description(connection: sqlite3.Connection) -> None:
    """Give a database the labels that jobs had before version 0008."""
    connection.execute("ALTER TABLE jobs ADD COLUMN labels JSON")
    connection.execute("UPDATE jobs SET labels = json_extract(description, '$.labels')")
    connection.execute("ALTER TABLE jobs DROP COLUMN description")


def a_job(
    owner: str = "anna",
    project: str = "flavour",
    *,
    key: str | None = None,
    digest: str | None = None,
    created: Any = START,
    name: str = "train",
    **choices: Any,
) -> NewJob:
    description = choices.pop("description", {})
    person = Person.of(owner, [GROUPS[project]])
    selection = gate.resolve({"accelerator": "t4", "project": project, **choices}, PLATFORM, person, Door.JOB)
    work = Work(
        kind="notebook", path="a/train.ipynb", snapshot=".aiinfn/jobs/x/train.ipynb", kernel="python3"
    )
    job_id = new_id()
    return NewJob(
        selection,
        work,
        f"a/train.{job_id}.ipynb",
        name,
        job_id,
        created,
        None,
        key,
        digest,
        description=description,
    )


def told(job_id: str, state: JobState | str, attempt: int = 1, minutes: Any = 0.0, **more: Any) -> Update:
    return Update(
        job_id,
        START + timedelta(minutes=minutes),
        attempt,
        state,  # type: ignore[arg-type]
        more.pop("cause", CAUSES[state]),  # type: ignore[index]
        **more,
    )


PATHS = {Q: [], S: [S], R: [S, R], OK: [S, R, OK], BAD: [S, R, BAD], OFF: [S, OFF]}
"""How a job gets into each state."""


async def job_in(store: JobStore, state: JobState) -> Any:
    job = await store.insert(a_job())
    for step in PATHS[state]:
        await store.apply(told(job.id, step))
    return job.id
