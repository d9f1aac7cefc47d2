"""What a person says about a job is one document: kept, shown and handed on whole, also out of an older database."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from aiinfn_hub.contract.jobs import Job, JobDescription, JobRequest
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.domain.records import Filter, View
from tests.vkd.jobs import a_job, undo_description
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import notebook, reaches, vkd

SAID: dict[str, Any] = {
    name: ["paper-2026"] if name == "labels" else f"The {name}" for name in JobDescription.model_fields
}


async def test_the_labels_of_an_older_database_become_part_of_the_document(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'vkd.sqlite'}"
    store = await JobStore.open(url)
    jobs = [
        await store.insert(a_job(description={"labels": labels} if labels else {}))
        for labels in (["paper", "night"], [], ["trial"])
    ]
    await store.close()
    with sqlite3.connect(tmp_path / "vkd.sqlite") as connection:
        undo_description(connection)
        connection.execute("UPDATE alembic_version SET version_num = '0007'")
        before = connection.execute("SELECT id, labels FROM jobs ORDER BY number").fetchall()
    connection.close()
    assert [labels and json.loads(labels) for _, labels in before] == [["paper", "night"], None, ["trial"]]
    store = await JobStore.open(url)
    kept = [await store.get(job.id) for job in jobs]
    found = (await store.page(View("anna"), Filter(label="trial"))).jobs
    await store.close()
    assert kept == jobs
    assert [job.id for job in found] == [jobs[2].id]


async def test_all_that_is_said_about_a_job_is_kept_shown_and_handed_on(tmp_path: Path) -> None:
    assert set(JobDescription.model_fields) <= JobRequest.model_fields.keys() & Job.model_fields.keys()
    async with vkd(tmp_path, MemoryBackend) as v:
        anna = v.as_("anna")
        job = await anna.post("/jobs", notebook(**SAID), status=201)
        await anna.post(f"/jobs/{job['id']}/cancel", status=202)
        await reaches(anna, job["id"], "cancelled")
        again = await anna.post(f"/jobs/{job['id']}/rerun", status=201)
        shown = [job, await anna.get(f"/jobs/{job['id']}"), again]
    assert [{name: each[name] for name in SAID} for each in shown] == [SAID] * 3


async def test_a_text_that_is_too_long_or_not_seen_is_refused_at_its_field(tmp_path: Path) -> None:
    async with vkd(tmp_path, MemoryBackend) as v:
        anna = v.as_("anna")
        for name in SAID.keys() - {"labels"}:
            for text in ("x" * 201, "a\u202eb"):
                body = notebook(**{name: text})
                status, problem = await anna.ask("POST", "/jobs", json=body)
                assert (status in {400, 422}, problem["field"]) == (True, name)
