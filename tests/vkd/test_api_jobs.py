"""Jobs over HTTP, with a back end that does what the test says."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.runner import JobError, Progress
from aiinfn_hub.contract.states import Cause
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.database.engine import storage_full
from tests.vkd.jobs import BAD, OFF, OK, Q, R, S
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import Client, Hub, World, notebook, reaches, until, vkd


@pytest.fixture
async def v(tmp_path: Path) -> AsyncIterator[World]:
    async with vkd(tmp_path, MemoryBackend) as running:
        yield running


async def test_a_job_gets_defaults_an_id_an_output_and_a_place(v: World) -> None:
    before = datetime.now(UTC)
    job = await v.as_("anna").post(
        "/jobs", notebook("data/it's né\"w.ipynb", accelerator="t4", name=" My job ")
    )
    assert re.fullmatch(r"[a-z][a-z2-9]{9}", job["id"])
    assert job["output"] == f"data/it's né\"w.{job['id']}.ipynb"
    wanted = {
        "name": "My job", "owner": "anna", "project": "flavour", "queue": "opportunistic", "state": "queued",
        "cause": "submitted", "sentence": "Waiting: next in line in Opportunistic", "position": 1, "accelerator": "t4",
        "accelerator_title": "T4", "simulated": True, "count": 1, "image": "default", "size": "small", "priority": 0,
        "time_limit": 600, "attempt": 0, "preemptions": 0, "progress": None, "error": None, "started": None, "ended": None,
        "rerun_of": None, "labels": [], "pinned": False, "kept_until": None, "actions": ["cancel", "edit"],
    }  # fmt: skip
    assert {key: job[key] for key in wanted} == wanted
    assert before <= datetime.fromisoformat(job["created"]) <= datetime.now(UTC)
    handed = v.backend.all[job["id"]]
    assert (handed.selection.accelerator_name, handed.work.path, handed.output) == (
        "t4",
        job["work"]["path"],
        job["output"],
    )


async def test_paths_are_normalised(v: World) -> None:
    job = await v.as_("anna").post("/jobs", notebook("./a//b/./c.ipynb"))
    assert job["work"]["path"] == "a/b/c.ipynb"
    assert job["name"] == "c.ipynb"


async def test_a_script_is_a_job_too(v: World) -> None:
    work = {
        "kind": "script",
        "path": "run.sh",
        "snapshot": ".aiinfn/jobs/q/run.sh",
        "arguments": ["--epochs", "3", "a b"],
        "kernel": None,
    }
    job = await v.as_("anna").post("/jobs", {"work": work})
    assert job["output"] == f"run.{job['id']}.log"
    assert job["work"]["arguments"] == ["--epochs", "3", "a b"]


async def test_a_dry_run_says_what_would_happen_and_does_nothing(v: World) -> None:
    anna = v.as_("anna")
    told = await anna.post("/jobs?dry_run=1", notebook(accelerator="t4"), status=200)
    assert (told["sentence"], told["ahead"]) == ("Starts now on a free T4.", 0)
    await anna.post("/jobs", notebook(accelerator="t4"))
    told = await anna.post("/jobs?dry_run=1", notebook(accelerator="t4"), status=200)
    assert (told["sentence"], told["ahead"]) == ("Waits behind 1 job in Opportunistic.", 1)
    assert len((await anna.get("/jobs"))["jobs"]) == 1
    assert (await anna.post("/jobs?dry_run=1", notebook(accelerator="x9"), status=422))[
        "field"
    ] == "accelerator"


# Double clicks


async def test_a_double_click_is_one_job(v: World) -> None:
    anna, key = v.as_("anna"), {"Idempotency-Key": "click-1"}

    async def click(number: int) -> Any:
        request = notebook(work={"snapshot": f".aiinfn/jobs/copy{number}/train.ipynb"})
        return await anna.ask("POST", "/jobs", json=request, headers=key)

    answers = await asyncio.gather(*(click(number) for number in range(5)))
    assert sorted(status for status, _ in answers) == [200, 200, 200, 200, 201]
    assert len({job["id"] for _, job in answers}) == 1
    assert len({job["work"]["snapshot"] for _, job in answers}) == 1
    assert len(v.backend.all) == 1


async def test_a_key_used_for_another_request_is_a_conflict_but_free_for_somebody_else(v: World) -> None:
    key = {"Idempotency-Key": "click-1"}
    await v.as_("anna").post("/jobs", notebook(), headers=key)
    body = await v.as_("anna").post("/jobs", notebook(size="large"), headers=key, status=409)
    assert body["message"] == "This Idempotency-Key was used for another request."
    await v.as_("bruno").post("/jobs", notebook(), headers=key)
    assert len(v.backend.all) == 2


async def test_without_a_key_the_same_request_twice_is_two_jobs(v: World) -> None:
    for _ in range(2):
        await v.as_("anna").post("/jobs", notebook())
    assert len(v.backend.all) == 2


async def test_nobody_can_fill_the_queue(tmp_path: Path) -> None:
    limits = {"jobs_waiting_per_person": 3, "grace": "2s", "job_default": "10m"}
    async with vkd(tmp_path, MemoryBackend, limits=limits) as v:
        anna = v.as_("anna")
        answers = await asyncio.gather(*(anna.ask("POST", "/jobs", json=notebook()) for _ in range(8)))
        assert sorted(status for status, _ in answers) == [201] * 3 + [429] * 5
        refused = next(body for status, body in answers if status == 429)
        assert (refused["reason"], refused["message"]) == ("too_many", "3 of your jobs are waiting already.")
        await v.as_("bruno").post("/jobs", notebook())


# What the back end tells


async def test_a_job_is_followed_from_its_start_to_its_end(v: World) -> None:
    anna = v.as_("anna")
    job_id = (await anna.post("/jobs", notebook(accelerator="t4")))["id"]
    v.backend.run(job_id)
    job = await reaches(anna, job_id, "running")
    assert (job["sentence"], job["attempt"], job["position"]) == ("Running", 1, None)
    v.backend.tell(job_id, None, progress=Progress(cell=12, cells=40))

    async def told() -> bool:
        return (await anna.get(f"/jobs/{job_id}"))["sentence"] == "Running: cell 12 of 40"

    await until(told, "the progress is shown", seconds=5)
    error = JobError(name="ValueError", message="bad", cell=12, traceback="the lines")
    v.backend.tell(
        job_id, BAD, Cause.ERROR, error=error, exit_code=1, message=Message("failed.exit_code", code=1)
    )
    job = await reaches(anna, job_id, "failed")
    assert job["sentence"] == "Failed in cell 12: ValueError: bad"
    assert job["error"]["traceback"] == "the lines"
    assert job["actions"] == ["rerun", "delete", "edit"]
    events = await anna.get(f"/jobs/{job_id}/events")
    assert [event["state"] for event in events] == ["queued", "starting", "running", "failed"]
    assert events[-1]["message"] == "Failed: its process ended with exit code 1."
    assert (events[-1]["code"], events[-1]["facts"]) == ("failed.exit_code", {"code": 1})


async def test_a_job_that_made_room_says_so_and_history_tells_it(v: World) -> None:
    anna = v.as_("anna")
    job_id = (await anna.post("/jobs", notebook(accelerator="t4")))["id"]
    v.backend.run(job_id)
    v.backend.tell(job_id, Q, Cause.PREEMPTED, message=Message("again.suspended"))
    job = await reaches(anna, job_id, "queued")
    job = await until(lambda: preempted(anna, job_id), "the job waits again")
    assert job["sentence"] == "Made room for a session; waiting again, next in line in Opportunistic"
    v.backend.run(job_id, attempt=2)
    v.backend.tell(job_id, OK, Cause.COMPLETED, attempt=2, exit_code=0)
    job = await reaches(anna, job_id, "succeeded")
    assert (job["attempt"], job["preemptions"], job["sentence"]) == (2, 1, "Finished")
    events = await anna.get(f"/jobs/{job_id}/events")
    assert [(e["state"], e["attempt"]) for e in events][3] == ("queued", 1)


async def preempted(client: Client, job_id: str) -> Any:
    job = await client.get(f"/jobs/{job_id}")
    return job if job["cause"] == "preempted" else None


async def test_an_impossible_update_changes_nothing_and_the_rest_goes_on(
    v: World, caplog: pytest.LogCaptureFixture
) -> None:
    anna = v.as_("anna")
    job_id = (await anna.post("/jobs", notebook()))["id"]
    v.backend.tell(job_id, OK, Cause.COMPLETED)
    v.backend.tell("unknownjob", S, Cause.PLACED)
    v.backend.run(job_id)
    job = await reaches(anna, job_id, "running")
    assert job["cause"] == "started"
    assert "illegal transition" in caplog.text


async def test_an_update_is_not_lost_while_the_store_cannot_write(
    v: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = v.as_("anna")
    job_id = (await anna.post("/jobs", notebook()))["id"]
    lock = v.service.store._database.write
    failures = 0

    def full() -> None:
        nonlocal failures
        failures += 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(v.service.store._database, "write", full)
    v.backend.run(job_id)

    async def tried() -> bool:
        return failures >= 2

    await until(tried, "the store was tried twice")
    assert (await anna.get(f"/jobs/{job_id}"))["state"] == "queued"
    monkeypatch.setattr(v.service.store._database, "write", lock)
    await reaches(anna, job_id, "running")


async def test_on_a_full_disk_a_job_can_be_cancelled_and_that_is_written_later(
    v: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = v.as_("anna")
    job_id = (await anna.post("/jobs", notebook()))["id"]
    waiting = (await anna.post("/jobs", notebook()))["id"]
    v.backend.run(job_id)
    await reaches(anna, job_id, "running")
    write = v.service.store._database.write

    @contextlib.asynccontextmanager
    async def full() -> AsyncIterator[None]:
        raise storage_full()
        yield  # type: ignore[unreachable]

    monkeypatch.setattr(v.service.store._database, "write", full)
    oscar = v.as_("oscar")
    job = await oscar.post(f"/jobs/{job_id}/cancel", status=202)
    assert job["sentence"] == "Being cancelled by oscar"
    assert (await anna.post(f"/jobs/{waiting}/cancel", status=202))["sentence"] == "Being cancelled"
    assert (await anna.get(f"/jobs/{job_id}"))["sentence"] == "Being cancelled by oscar"
    assert {job_id, waiting} <= set(v.backend.cancelled)
    for each in (job_id, waiting):
        v.backend.tell(each, OFF, Cause.CANCELLED)
    monkeypatch.setattr(v.service.store._database, "write", write)
    assert (await reaches(anna, job_id, "cancelled"))["sentence"] == "Cancelled by oscar"
    assert (await reaches(anna, waiting, "cancelled"))["sentence"] == "Cancelled"


async def test_a_job_that_the_back_end_does_not_take_leaves_nothing(v: World) -> None:
    v.backend.refuse = OSError(28, "No space left on device")
    body = await v.as_("anna").post("/jobs", notebook(), status=507)
    assert body["message"] == "The platform's disk is full; nothing was changed."
    assert (await v.as_("anna").get("/jobs"))["jobs"] == []
    v.backend.refuse = None
    await v.as_("anna").post("/jobs", notebook())


async def test_a_fault_is_a_number_for_the_operators_and_never_a_traceback(
    v: World, caplog: pytest.LogCaptureFixture
) -> None:
    v.backend.refuse = RuntimeError("inner secret")
    body = await v.as_("anna").post("/jobs", notebook(), status=500)
    number = re.search(r"the number ([0-9a-f]{8}):", body["hint"])[1]  # type: ignore[index]
    assert body["reason"] == "internal"
    assert "inner secret" not in json.dumps(body)
    assert f"incident={number}" in caplog.text


# Cancelling and running again


async def test_cancelling_is_remembered_and_repeated_without_harm(v: World) -> None:
    anna = v.as_("anna")
    job_id = (await anna.post("/jobs", notebook()))["id"]
    v.backend.run(job_id)
    await reaches(anna, job_id, "running")
    for _ in range(2):
        job = await anna.post(f"/jobs/{job_id}/cancel", status=202)
        assert (job["sentence"], job["actions"]) == ("Being cancelled", ["edit"])
    v.backend.tell(job_id, OFF, Cause.CANCELLED)
    job = await reaches(anna, job_id, "cancelled")
    assert job["sentence"] == "Cancelled"
    await anna.post(f"/jobs/{job_id}/cancel", status=202)


async def test_a_job_that_is_over_cannot_be_cancelled(v: World) -> None:
    anna = v.as_("anna")
    job_id = (await anna.post("/jobs", notebook()))["id"]
    v.backend.run(job_id)
    v.backend.tell(job_id, OK, Cause.COMPLETED)
    await reaches(anna, job_id, "succeeded")
    body = await anna.post(f"/jobs/{job_id}/cancel", status=409)
    assert body == {
        "reason": "conflict",
        "message": "The job has ended already.",
        "hint": "There is nothing left to cancel.",
        "field": None,
    }
    assert v.backend.cancelled == []


async def test_running_again_is_a_new_job_of_the_same_copy(v: World) -> None:
    bruno = v.as_("bruno")
    request = notebook(
        accelerator="t4",
        count=2,
        project="medical",
        queue="urgent",
        size="large",
        time_limit="90m",
        name="fit",
    )
    first = await bruno.post("/jobs", request)
    await bruno.post(f"/jobs/{first['id']}/rerun", status=409)
    v.backend.run(first["id"])
    v.backend.tell(first["id"], BAD, Cause.ERROR)
    await reaches(bruno, first["id"], "failed")
    again = await bruno.post(f"/jobs/{first['id']}/rerun")
    assert again["rerun_of"] == first["id"]
    same = ("name", "project", "queue", "accelerator", "count", "size", "time_limit", "work", "priority")
    assert {key: again[key] for key in same} == {key: first[key] for key in same}
    assert again["id"] != first["id"]
    assert again["output"] != first["output"]


async def test_running_again_asks_the_gate_again(tmp_path: Path) -> None:
    async with vkd(tmp_path, MemoryBackend, keep=0) as v:
        bruno = v.as_("bruno")
        job = await bruno.post("/jobs", notebook(project="medical"))
        v.backend.run(job["id"])
        v.backend.tell(job["id"], OK, Cause.COMPLETED)
        await reaches(bruno, job["id"], "succeeded")
        v.hub.people["token-bruno"]["groups"].remove("ai-infn/medical")
        try:
            body = await bruno.post(f"/jobs/{job['id']}/rerun", status=403)
        finally:
            v.hub.people["token-bruno"]["groups"].append("ai-infn/medical")
        assert body["field"] == "project"


# Lists


async def test_pages_lead_through_all_jobs(v: World) -> None:
    anna = v.as_("anna")
    made = [(await anna.post("/jobs", notebook(name=f"job {i}")))["id"] for i in range(7)]
    found, cursor = [], ""
    while True:
        page = await anna.get(f"/jobs?limit=3{cursor}")
        found += [job["id"] for job in page["jobs"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == made[::-1]
    assert page["active"] == 7


async def test_since_tells_only_what_changed(v: World) -> None:
    anna = v.as_("anna")
    first, second = [(await anna.post("/jobs", notebook()))["id"] for _ in range(2)]
    await v.service.recorder.flush()
    page = await anna.get("/jobs")
    through = page["revision"]
    assert (await anna.get(f"/jobs?since_revision={through}"))["jobs"] == []
    v.backend.run(second)
    await reaches(anna, second, "running")
    page = await anna.get(f"/jobs?since_revision={through}")
    assert [job["id"] for job in page["jobs"]] == [second]
    v.backend.run(first)
    await reaches(anna, first, "running")
    newer = await anna.get(f"/jobs?since_revision={page['revision']}")
    assert [job["id"] for job in newer["jobs"]] == [first]


async def test_since_tells_of_a_better_place_in_the_queue(v: World) -> None:
    anna = v.as_("anna")
    first, second = [(await anna.post("/jobs", notebook()))["id"] for _ in range(2)]
    await v.service.recorder.flush()
    through = (await anna.get("/jobs"))["revision"]
    v.backend.run(first)

    async def moved() -> Any:
        jobs = (await anna.get(f"/jobs?since_revision={through}"))["jobs"]
        return next((job for job in jobs if job["id"] == second), None)

    assert (await until(moved, "the second job moved up"))["position"] == 1


async def test_the_same_list_is_not_sent_twice(v: World) -> None:
    anna = v.as_("anna")
    job_id = (await anna.post("/jobs", notebook()))["id"]
    await v.service.recorder.flush()

    async def ask(tag: str | None = None, path: str = "/jobs") -> tuple[Any, Any, Any]:
        async with (
            anna.stream(path)
            if tag is None
            else v.http.get(
                f"{v.root}/services/vkd/api/v1{path}", headers={**anna.headers, "If-None-Match": tag}
            ) as answer
        ):
            return answer.status, answer.headers["ETag"], await answer.read()

    status, tag, body = await ask()
    assert (status, bool(body)) == (200, True)
    assert (await ask(tag))[0::2] == (304, b"")
    assert (await ask(f'"x", {tag}'))[0] == 304
    assert (await ask(tag, "/jobs?state=active"))[0] == 200
    v.backend.run(job_id)
    await reaches(anna, job_id, "running")
    assert (await ask(tag))[0] == 200


async def test_jobs_are_chosen_by_state_project_and_owner(v: World) -> None:
    bruno, oscar = v.as_("bruno"), v.as_("oscar")
    flavour = (await bruno.post("/jobs", notebook(project="flavour")))["id"]
    medical = (await bruno.post("/jobs", notebook(project="medical")))["id"]
    annas = (await v.as_("anna").post("/jobs", notebook()))["id"]
    v.backend.run(medical)
    await reaches(bruno, medical, "running")

    async def chosen(query: str) -> set[Any]:
        return {job["id"] for job in (await oscar.get(f"/jobs?{query}"))["jobs"]}

    assert await chosen("state=running") == {medical}
    assert await chosen("state=running,queued") == {medical, flavour, annas}
    assert await chosen("state=running&state=queued") == {medical, flavour, annas}
    assert await chosen("state=active") == {medical, flavour, annas}
    assert await chosen("state=failed") == set()
    assert await chosen("project=flavour") == {flavour, annas}
    assert await chosen("owner=bruno") == {flavour, medical}
    assert await chosen("owner=bruno&project=flavour&state=queued") == {flavour}
    assert await chosen("project=nosuch") == set()


# The rest


async def test_queues_and_platform_show_what_a_person_may_use(v: World) -> None:
    await v.as_("anna").post("/jobs", notebook())
    assert [queue["name"] for queue in await v.as_("anna").get("/queues")] == ["opportunistic"]
    queues = await v.as_("bruno").get("/queues")
    assert [(q["name"], q["queued"], q["projects"]) for q in queues] == [
        ("opportunistic", 1, ["flavour", "medical"]),
        ("urgent", 0, ["medical"]),
    ]
    platform = await v.as_("mara").get("/platform")
    assert [(p["name"], p["manager"]) for p in platform["projects"]] == [("flavour", True)]
    assert (await v.as_("oscar").get("/platform"))["admin"] is True
    nobody = await v.as_("nina").get("/platform")
    assert (nobody["accelerators"], nobody["projects"]) == ([], [])


async def test_use_is_summed_for_whom_it_concerns(v: World) -> None:
    anna = v.as_("anna")
    job_id = (await anna.post("/jobs", notebook(accelerator="t4", count=2)))["id"]
    start = datetime.now(UTC) - timedelta(hours=1)
    v.backend.tell(job_id, S, Cause.PLACED)
    v.backend.tell(job_id, R, Cause.STARTED, started=start)
    v.backend.tell(job_id, OK, Cause.COMPLETED, started=start, ended=start + timedelta(minutes=10))
    await reaches(anna, job_id, "succeeded")
    (entry,) = (await anna.get("/usage"))["entries"]
    assert entry == {
        "project": "flavour",
        "user": "anna",
        "accelerator": "t4",
        "device_seconds": pytest.approx(1200),
        "jobs": 1,
    }
    assert (await v.as_("bruno").get("/usage"))["entries"] == []
    assert len((await v.as_("mara").get("/usage"))["entries"]) == 1
    recent = (start + timedelta(minutes=5)).isoformat().replace("+", "%2B")
    assert (await anna.get(f"/usage?since={recent}"))["entries"][0]["device_seconds"] == pytest.approx(600)
    assert (await anna.get("/usage?since=2099-01-01"))["entries"] == []
    for odd in ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):
        assert (await anna.get(f"/usage?since={odd}", status=400))["field"] == "since"


@pytest.mark.parametrize(
    ("who", "status"),
    [(None, 401), ("unknown", 401), ("anna", 403), ("mara", 403), ("other", 403), ("metrics", 200), ("oscar", 200)],
)  # fmt: skip
async def test_figures_are_for_prometheus_and_operators(v: World, who: str | None, status: int) -> None:
    headers = v.as_(who).headers
    async with v.http.get(f"{v.root}/services/vkd/metrics", headers=headers) as answer:
        assert answer.status == status
        assert ("vkd_jobs" in await answer.text()) is (status == 200)


async def test_health_and_documentation_need_no_token_and_metrics_tell_nothing_about_people(v: World) -> None:
    job = await v.as_("anna").post("/jobs", notebook(accelerator="t4", name="secret-name"))
    base = f"{v.root}/services/vkd"
    async with v.http.get(f"{base}/health") as answer:
        assert (await answer.json())["status"] == "ok"
    async with v.http.get(f"{base}/metrics", headers=v.as_("metrics").headers) as answer:
        text = await answer.text()
    assert 'vkd_jobs{state="queued"} 1.0' in text
    assert 'vkd_devices{accelerator="t4",holder="free"} 2.0' in text
    assert 'vkd_request_seconds_count{method="POST",route="/jobs",status="2xx"} 1.0' in text
    assert not any(word in text for word in ("anna", "secret-name", job["id"]))
    async with v.http.get(f"{base}/openapi.json") as answer:
        assert "/services/vkd/api/v1/jobs" in (await answer.json())["paths"]
    for page in ("/docs", "/redoc", "/services/vkd/docs"):
        async with v.http.get(v.root + page) as answer:
            assert answer.status == 404
            assert (await answer.json())["reason"] == "not_found"


# Coming back


async def test_vkd_that_comes_back_hands_over_what_is_not_over_and_what_never_arrived(tmp_path: Path) -> None:
    hub = Hub()
    async with hub.run():
        async with vkd(tmp_path, MemoryBackend, hub=hub) as v:
            anna = v.as_("anna")
            running, waiting, done, cancelled = [
                (await anna.post("/jobs", notebook(accelerator="t4")))["id"] for _ in range(4)
            ]
            for job_id in (running, done):
                v.backend.run(job_id)
                await reaches(anna, job_id, "running")
            v.backend.tell(done, OK, Cause.COMPLETED)
            await reaches(anna, done, "succeeded")
            v.backend.unhurried = True
            await anna.post(f"/jobs/{cancelled}/cancel", status=202)
            assert v.backend.known.jobs == []
        assert v.backend.stopped
        assert not v.backend.interrupted
        async with vkd(tmp_path, MemoryBackend, hub=hub) as v:
            known = v.backend.known
            assert [(job.id, job.state, job.attempt) for job in known.jobs] == [
                (running, R, 1),
                (waiting, Q, 0),
                (cancelled, Q, 0),
            ]
            assert set(known.usage) == {"flavour"}
            assert v.backend.cancelled == [cancelled]
            job = await v.as_("anna").get(f"/jobs/{waiting}")
            assert job["sentence"] == "Waiting: next in line in Opportunistic"


@pytest.mark.parametrize(
    ("work", "job_name", "output"),
    [
        (
            {"kind": "script", "path": "a/proj/src/./fit.py", "snapshot": ".aiinfn/jobs/q/proj/src/fit.py"},
            "fit.py",
            "a/proj.{id}/fit.{id}.log",
        ),
        (
            {
                "kind": "notebook",
                "path": "a/proj/x.ipynb",
                "snapshot": ".aiinfn/jobs/q/proj/x.ipynb",
                "kernel": "k",
            },
            "x.ipynb",
            "a/proj.{id}/x.{id}.ipynb",
        ),
        (
            {
                "kind": "command",
                "path": "a/proj",
                "snapshot": ".aiinfn/jobs/q/proj",
                "command": "make | tee log",
            },
            "proj",
            "a/proj.{id}/command.{id}.log",
        ),
    ],
)
async def test_a_folder_is_submitted_as_a_whole_and_runs_again_from_its_copy(
    v: World, work: dict[str, Any], job_name: str, output: str
) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", {"work": {**work, "folder": "a//proj/"}})
    assert (job["name"], job["output"]) == (job_name, output.format(id=job["id"]))
    assert (job["work"]["folder"], job["work"]["snapshot"]) == ("a/proj", work["snapshot"])
    v.backend.run(job["id"])
    v.backend.tell(job["id"], BAD, Cause.ERROR)
    await reaches(anna, job["id"], "failed")
    again = await anna.post(f"/jobs/{job['id']}/rerun")
    assert again["work"] == job["work"]
    assert again["output"] == output.format(id=again["id"])


async def test_points_of_a_swept_folder_have_a_folder_each(v: World) -> None:
    work = {"kind": "script", "path": "p/fit.py", "snapshot": ".aiinfn/jobs/q/p/fit.py", "folder": "p"}
    sweep = await v.as_("anna").post("/jobs", {"work": work, "sweep": {"points": [{"a": 1}, {"a": 2}]}})
    assert sweep["output"] == f"p.{sweep['id']}"
    points = (await v.as_("anna").get(f"/jobs/{sweep['id']}/points"))["points"]
    assert [point["output"] for point in points] == [
        f"p.{sweep['id']}/0001/fit.0001.log",
        f"p.{sweep['id']}/0002/fit.0002.log",
    ]
