"""What happens with jobs afterwards: labels, search, many at once, deletion, and how long they are kept."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.runner import JobError
from aiinfn_hub.contract.states import Cause
from aiinfn_hub.platform.person import Person
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.database.retention import RetentionStore
from aiinfn_hub.vkd.database.tables import (
    history,
    jobs,
    labelled,
    removed,
    texts,
    usage,
)
from aiinfn_hub.vkd.domain.records import snapshot_digest
from aiinfn_hub.vkd.services import retention, validation
from tests.vkd.jobs import BAD, OK, R, S
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import Client, World, notebook, reaches, until, vkd


@pytest.fixture
async def v(tmp_path: Path) -> AsyncIterator[World]:
    async with vkd(tmp_path, MemoryBackend) as running:
        yield running


async def ended(v: World, client: Client, state: Any = OK, *, start: Any = None, **more: Any) -> Any:
    """Submit a job and let it end."""
    job = await client.post("/jobs", notebook(**more))
    start = start or datetime.now(UTC) - timedelta(minutes=5)
    v.backend.tell(job["id"], S, Cause.PLACED)
    v.backend.tell(job["id"], R, Cause.STARTED, started=start)
    await v.backend.print(job["id"], b"hello\n", over=True)
    error = JobError(name="ValueError", message="bad shape (3, 4)") if state is BAD else None
    v.backend.tell(
        job["id"], state, Cause.COMPLETED if state is OK else Cause.ERROR, error=error,
        started=start, ended=start + timedelta(seconds=60),
    )  # fmt: skip
    return await reaches(client, job["id"], state)


async def swept(v: World, client: Client, points: int = 2, **more: Any) -> Any:
    """Submit a sweep and let it end."""
    request = notebook(sweep={"points": [{"lr": i} for i in range(points)], "parallelism": points}, **more)
    job = await client.post("/jobs", request)

    async def handed() -> list[Any] | None:
        found = [each for each in v.backend.waiting.values() if job["id"] in each.output]
        return found if len(found) == points else None

    for point in await until(handed, "the points are handed over"):
        v.backend.run(point.id)
        v.backend.tell(point.id, OK, Cause.COMPLETED)
    return await reaches(client, job["id"], OK)


async def rows(v: World, table: Any, *conditions: Any) -> list[dict[str, Any]]:
    async with v.service.store.reading() as connection:
        return [
            dict(row) for row in (await connection.execute(sa.select(table).where(*conditions))).mappings()
        ]


def tidy(v: World) -> Any:
    return until(lambda: _no_logs(v), "the logs of deleted jobs are gone")


async def _no_logs(v: World) -> bool:
    return not await rows(v, removed, removed.c.log.is_(True))


# Labels


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["paper-2026", "Trial", " trial "], ["paper-2026", "trial"]),
        (["città", "cms/ml:v2", "a.b_c+d"], ["città", "cms/ml:v2", "a.b_c+d"]),
        (["2026"], ["2026"]),
        ([], []),
    ],
)
def test_labels_are_short_words_in_small_letters_each_once(typed: list[str], kept: list[str]) -> None:
    assert validation.check_labels(typed) == kept


@pytest.mark.parametrize(
    "typed", ["", " ", "two words", "-x", "a,b", "x" * 41, "a\nb", "a\u202eb", "\ud800", "<b>"]
)
def test_what_is_no_label_is_told_in_a_sentence(typed: str) -> None:
    with pytest.raises(Refusal, match="cannot be a label") as refusal:
        validation.check_labels([typed])
    assert "one word of at most 40" in refusal.value.hint
    assert refusal.value.message.isprintable()


async def test_labels_come_with_the_submission_are_edited_and_go_along_when_run_again(v: World) -> None:
    anna = v.as_("anna")
    job = await ended(v, anna, labels=["Paper-2026", "trial"], name="fit")
    assert job["labels"] == ["paper-2026", "trial"]
    changed = await anna.ask(
        "PATCH", f"/jobs/{job['id']}", json={"labels": ["final"], "name": " The fit "}, status=200
    )
    assert (changed[1]["labels"], changed[1]["name"]) == (["final"], "The fit")
    again = await anna.post(f"/jobs/{job['id']}/rerun")
    assert (again["labels"], again["name"]) == (["final"], "The fit")
    listed = (await anna.get("/jobs?label=final"))["jobs"]
    assert [each["id"] for each in listed] == [again["id"], job["id"]]
    assert (await anna.get("/jobs?label=trial"))["jobs"] == []
    assert (await v.as_("bruno").get("/jobs?label=final"))["jobs"] == []
    since = (await anna.get("/jobs"))["revision"]
    await anna.ask("PATCH", f"/jobs/{job['id']}", json={"labels": []}, status=200)
    assert [each["id"] for each in (await anna.get(f"/jobs?since_revision={since}"))["jobs"]] == [job["id"]]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"labels": ["two words"]}, 400, "labels"),
        ({"labels": [f"l{i}" for i in range(11)]}, 422, "labels"),
        ({"name": "a\nb"}, 400, "name"),
        ({"state": "failed"}, 400, "state"),
    ],
)
async def test_a_change_that_cannot_be_made_changes_nothing(
    v: World, body: dict[str, Any], status: int, field: str
) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", notebook(labels=["x"]))
    _, told = await anna.ask("PATCH", f"/jobs/{job['id']}", json=body, status=status)
    assert told["field"] == field
    assert (await anna.get(f"/jobs/{job['id']}"))["labels"] == ["x"]
    assert (await anna.post("/jobs", notebook(labels=["a b"]), status=400))["field"] == "labels"


async def test_only_the_owner_and_operators_change_and_delete(v: World) -> None:
    job = await ended(v, v.as_("anna"))
    for method, body in (("PATCH", {"labels": ["mine"]}), ("DELETE", None)):
        _, told = await v.as_("mara").ask(method, f"/jobs/{job['id']}", json=body, status=403)
        assert told["hint"] == "Ask anna."
        await v.as_("bruno").ask(method, f"/jobs/{job['id']}", json=body, status=404)
    await v.as_("oscar").ask("PATCH", f"/jobs/{job['id']}", json={"labels": ["seen"]}, status=200)
    await v.as_("oscar").ask("DELETE", f"/jobs/{job['id']}", status=204)


# Search


async def test_jobs_are_found_by_name_path_id_label_and_error(v: World) -> None:
    anna = v.as_("anna")
    one = await ended(v, anna, BAD, path="studies/Jets/tag.ipynb", labels=["paper-2026"])
    two = await anna.post("/jobs", notebook(name="Perché no", accelerator="t4"))

    async def found(search: str, **more: Any) -> list[Any]:
        query = {"search": search, **more}
        return [job["id"] for job in (await anna.get("/jobs", params=query))["jobs"]]

    for search in ("jets", "TAG.ipynb", one["id"], "paper", "bad SHAPE", "valueerror (3,"):
        assert await found(search) == [one["id"]], search
    assert await found("perche") == [two["id"]]
    assert await found("ipynb") == [two["id"], one["id"]]
    assert await found("ipynb", state="failed") == [one["id"]]
    assert await found("ipynb jets perche") == []
    assert await found("%") == await found("_") == []
    assert [job["id"] for job in (await v.as_("mara").get("/jobs?search=jets&owner=anna"))["jobs"]] == [
        one["id"]
    ]
    assert (await v.as_("bruno").get("/jobs?search=jets"))["jobs"] == []
    assert (await anna.get("/jobs?search=x&since_revision=0", status=400))["field"] == "search"
    assert (await anna.get(f"/jobs?search={'+'.join('abcdefghi')}", status=400))["field"] == "search"
    assert (await anna.get("/jobs?label=a+b", status=400))["field"] == "label"


async def test_a_long_history_is_looked_through_step_by_step(
    v: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiinfn_hub.vkd.database import job_search

    monkeypatch.setattr(job_search, "LOOKED_THROUGH", 3)
    anna = v.as_("anna")
    oldest = await anna.post("/jobs", notebook(name="needle"))
    for _ in range(7):
        await anna.post("/jobs", notebook())
    page, pages = await anna.get("/jobs?search=needle"), 1
    while not page["jobs"]:
        assert page["searched_to"] is not None
        page, pages = await anna.get(f"/jobs?search=needle&cursor={page['next_cursor']}"), pages + 1
    assert ([job["id"] for job in page["jobs"]], pages) == ([oldest["id"]], 3)


# Deleting


async def test_a_deleted_job_is_gone_with_its_log_but_its_device_time_stays(v: World) -> None:
    anna = v.as_("anna")
    job = await ended(v, anna, BAD, accelerator="t4", labels=["x"])
    before = await anna.get("/usage")
    assert before["entries"][0]["device_seconds"] == pytest.approx(60)
    page = await anna.get("/jobs")
    await anna.ask("DELETE", f"/jobs/{job['id']}", status=204)
    await anna.get(f"/jobs/{job['id']}", status=404)
    await anna.get(f"/jobs/{job['id']}/logs", status=404)
    news = await anna.get(f"/jobs?since_revision={page['revision']}")
    assert (news["jobs"], news["deleted"]) == ([], [job["id"]])
    assert (await v.as_("bruno").get(f"/jobs?since_revision={page['revision']}"))["deleted"] == []
    assert (await v.as_("mara").get(f"/jobs?since_revision={page['revision']}"))["deleted"] == [job["id"]]
    await tidy(v)
    assert v.backend.forgotten == [job["id"]]
    for table in (jobs, history, texts, labelled):
        assert await rows(v, table) == []
    assert len(await rows(v, usage)) == 1
    assert (await anna.get("/usage"))["entries"] == before["entries"]
    await anna.ask("DELETE", f"/jobs/{job['id']}", status=404)


async def test_an_active_job_is_not_deleted_and_told_why(v: World) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", notebook())
    _, told = await anna.ask("DELETE", f"/jobs/{job['id']}", status=409)
    assert (told["message"], told["hint"]) == ("The job is not over yet.", "Cancel it first, then delete it.")
    assert (await anna.get(f"/jobs/{job['id']}"))["state"] == "queued"


async def test_a_sweep_goes_with_its_points_and_stays_while_a_later_one_shows_its_results(v: World) -> None:
    anna = v.as_("anna")
    first = await swept(v, anna)
    point = (await anna.get(f"/jobs/{first['id']}/points"))["points"][0]["job"]
    _, told = await anna.ask("DELETE", f"/jobs/{point}", status=409)
    assert told["message"] == "A point is deleted with its sweep."
    again = await anna.post(f"/jobs/{first['id']}/rerun?points=1")
    (waiting,) = await until(lambda: _waiting(v, again["id"]), "the point is handed over")
    v.backend.run(waiting)
    v.backend.tell(waiting, OK, Cause.COMPLETED)
    await reaches(anna, again["id"], OK)
    _, told = await anna.ask("DELETE", f"/jobs/{first['id']}", status=409)
    assert told["message"] == "A later run of this sweep shows its results."
    both = await anna.post("/jobs/bulk", {"action": "delete", "ids": [first["id"], again["id"]]}, status=200)
    assert [result["problem"] for result in both["results"]] == [None, None]
    await tidy(v)
    assert len(v.backend.forgotten) == 5
    assert await rows(v, jobs) == []


async def _waiting(v: World, sweep_id: Any) -> list[Any]:
    return [job.id for job in v.backend.waiting.values() if sweep_id in job.output]


async def test_the_copy_of_the_input_goes_when_the_last_that_uses_it_does(v: World) -> None:
    anna = v.as_("anna")
    job = await ended(v, anna, work={"snapshot": ".aiinfn/jobs/abc/train.ipynb"})
    again = await anna.post(f"/jobs/{job['id']}/rerun")
    await anna.ask("DELETE", f"/jobs/{job['id']}", status=204)
    assert await anna.get("/tombstones") == [], "it succeeded, and its copy is used"
    v.backend.run(again["id"])
    v.backend.tell(again["id"], BAD, Cause.ERROR)
    await reaches(anna, again["id"], BAD)
    await anna.ask("DELETE", f"/jobs/{again['id']}", status=204)
    left = [{"id": again["id"], "snapshot": ".aiinfn/jobs/abc/train.ipynb"}]
    assert await anna.get("/tombstones") == left
    assert await v.as_("oscar").get("/tombstones") == []
    await v.as_("bruno").ask("POST", "/tombstones/acknowledge", json={"ids": [again["id"]]}, status=204)
    assert await anna.get("/tombstones") == left, "only the owner says that it is gone"
    await anna.ask("POST", "/tombstones/acknowledge", json={"ids": [again["id"]]}, status=204)
    assert await anna.get("/tombstones") == []


async def test_a_copy_that_is_used_again_meanwhile_is_not_left_over(v: World) -> None:
    anna, copy = v.as_("anna"), {"snapshot": ".aiinfn/jobs/abc/train.ipynb"}
    job = await ended(v, anna, work=copy)
    await anna.ask("DELETE", f"/jobs/{job['id']}", status=204)
    await anna.post("/jobs", notebook(work=copy))
    assert await anna.get("/tombstones") == [{"id": job["id"], "snapshot": None}]


async def test_a_log_that_cannot_be_removed_is_tried_again_also_by_the_next_vkd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "RETRY", 0.05)
    async with vkd(tmp_path, MemoryBackend) as v:
        anna = v.as_("anna")
        job, other = await ended(v, anna), await ended(v, anna)
        v.backend.unforgettable = True
        await anna.ask("DELETE", f"/jobs/{job['id']}", status=204)

        async def tried() -> bool:
            (row,) = await rows(v, removed)
            return row["tries"] > 1

        await until(tried, "it was tried again")
        assert (await anna.get("/jobs"))["jobs"][0]["id"] == other["id"], "vkd goes on"
    async with vkd(tmp_path, MemoryBackend) as v:
        await tidy(v)
        assert v.backend.forgotten == [job["id"]]


async def test_whoever_deletes_a_job_while_it_is_run_again_gets_one_or_the_other(v: World) -> None:
    anna = v.as_("anna")
    job = await ended(v, anna)
    old = await v.service.store.get(job["id"])
    await anna.ask("DELETE", f"/jobs/{job['id']}", status=204)
    with pytest.raises(Refusal, match="deleted meanwhile"):
        await v.service.run_again(Person.of("anna", ["ai-infn/flavour"]), old, None)  # type: ignore[arg-type]
    assert await rows(v, jobs) == []


# Many at once


async def test_many_are_cancelled_run_again_labelled_and_deleted_and_each_refusal_is_told(v: World) -> None:
    anna = v.as_("anna")
    done, waiting = await ended(v, anna), await anna.post("/jobs", notebook())
    foreign = await v.as_("bruno").post("/jobs", notebook())
    ids = [done["id"], waiting["id"], foreign["id"], done["id"], "nosuchjob2"]
    v.backend.unhurried = True

    async def bulk(action: str, **more: Any) -> Any:
        return (await anna.post("/jobs/bulk", {"action": action, "ids": ids, **more}, status=200))["results"]

    def why(results: Any) -> list[Any]:
        return [result["problem"] and result["problem"]["message"] for result in results]

    none = "There is no such job."
    results = await bulk("label", add_labels=["Nice"], remove_labels=["x"])
    assert [result["id"] for result in results] == [done["id"], waiting["id"], foreign["id"], "nosuchjob2"]
    assert why(results) == [None, None, none, none]
    assert [result["job"] and result["job"]["labels"] for result in results] == [
        ["nice"],
        ["nice"],
        None,
        None,
    ]
    assert why(await bulk("cancel")) == ["The job has ended already.", None, none, none]
    assert v.backend.cancelled == [waiting["id"]]
    assert why(await bulk("rerun")) == [None, "The job is not over yet.", none, none]
    assert why(await bulk("delete")) == [None, "The job is not over yet.", none, none]
    assert (await anna.get(f"/jobs/{waiting['id']}"))["sentence"] == "Being cancelled"


async def test_many_at_once_have_bounds_and_a_double_click_makes_no_second_job(v: World) -> None:
    anna = v.as_("anna")
    job = await ended(v, anna)
    ids = [f"j{i}" for i in range(501)]
    assert (await anna.post("/jobs/bulk", {"action": "delete", "ids": ids}, status=400))["field"] == "ids"
    assert (await anna.post("/jobs/bulk", {"action": "delete", "ids": []}, status=400))["field"] == "ids"
    assert (await anna.post("/jobs/bulk", {"action": "hide", "ids": ["a"]}, status=400))["field"] == "action"
    bad = {"action": "label", "ids": [job["id"]], "add_labels": ["a b"]}
    assert (await anna.post("/jobs/bulk", bad, status=400))["field"] == "add_labels"
    clicks = [
        await anna.post(
            "/jobs/bulk",
            {"action": "rerun", "ids": [job["id"]]},
            status=200,
            headers={"Idempotency-Key": "k"},
        )
        for _ in range(2)
    ]
    assert clicks[0]["results"][0]["job"]["id"] == clicks[1]["results"][0]["job"]["id"]
    assert len((await anna.get("/jobs"))["jobs"]) == 2


# How long they are kept


async def test_a_job_says_how_long_it_is_kept_and_the_platform_for_how_long_in_general(
    tmp_path: Path,
) -> None:
    async with vkd(tmp_path, MemoryBackend, limits={"keep_jobs": "30d", "pinned_jobs_per_person": 1}) as v:
        anna = v.as_("anna")
        view = await anna.get("/platform")
        assert (view["keep_jobs"], view["max_pinned_jobs"]) == (30 * 86400, 1)
        one, two = await ended(v, anna), await ended(v, anna)
        end = datetime.fromisoformat(one["ended"])
        assert datetime.fromisoformat(one["kept_until"]) == end + timedelta(days=30)
        _, pinned = await anna.ask("PATCH", f"/jobs/{one['id']}", json={"pinned": True}, status=200)
        assert (pinned["pinned"], pinned["kept_until"]) == (True, None)
        _, told = await anna.ask("PATCH", f"/jobs/{two['id']}", json={"pinned": True}, status=429)
        assert told["message"] == "1 jobs are pinned already."
        await anna.ask("PATCH", f"/jobs/{one['id']}", json={"pinned": False}, status=200)
        await anna.ask("PATCH", f"/jobs/{two['id']}", json={"pinned": True}, status=200)


async def test_old_jobs_go_by_themselves_but_not_what_is_pinned_runs_or_is_shown(v: World) -> None:
    anna = v.as_("anna")
    long_ago = datetime.now(UTC) - timedelta(days=100)
    old = [await ended(v, anna, start=long_ago, accelerator="t4") for _ in range(3)]
    sweep = await swept(v, anna)
    young, waiting = await ended(v, anna), await anna.post("/jobs", notebook())
    await anna.ask("PATCH", f"/jobs/{old[1]['id']}", json={"pinned": True}, status=200)
    before = (await anna.get(f"/usage?since={(long_ago - timedelta(days=1)).date()}"))["entries"]
    assert await v.service.retention.expire() == 2
    kept = {job["id"] for job in (await anna.get("/jobs"))["jobs"]}
    assert kept == {old[1]["id"], sweep["id"], young["id"], waiting["id"]}
    assert (await anna.get(f"/usage?since={(long_ago - timedelta(days=1)).date()}"))["entries"] == before
    await tidy(v)
    assert set(v.backend.forgotten) == {old[0]["id"], old[2]["id"]}
    assert await v.service.retention.expire() == 0


async def test_a_long_history_expires_in_portions_with_its_sweeps(
    v: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    anna = v.as_("anna")
    long_ago = datetime.now(UTC) - timedelta(days=100)
    for _ in range(5):
        await ended(v, anna, start=long_ago)
    sweep = await swept(v, anna)
    async with v.service.store.changing() as (connection, _):
        await connection.execute(sa.update(jobs).where(jobs.c.id == sweep["id"]).values(ended=long_ago))
    assert await v.service.retention.expire() == 6
    assert await rows(v, jobs) == []
    await tidy(v)
    assert len(v.backend.forgotten) == 8


async def test_notes_of_deleted_jobs_do_not_stay_for_ever(v: World, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = v.as_("anna")
    job = await ended(v, anna, work={"snapshot": ".aiinfn/jobs/abc/train.ipynb"})
    await anna.ask("DELETE", f"/jobs/{job['id']}", status=204)
    await tidy(v)
    monkeypatch.setattr(retention, "NEWS_KEPT", timedelta())
    await v.service.retention.expire()
    assert len(await rows(v, removed)) == 1, "something may be left in the home"
    await anna.ask("POST", "/tombstones/acknowledge", json={"ids": [job["id"]]}, status=204)
    await v.service.retention.expire()
    assert await rows(v, removed) == []


async def test_old_jobs_are_found_by_an_index(tmp_path: Path) -> None:
    store = await JobStore.open(f"sqlite+aiosqlite:///{tmp_path / 'vkd.sqlite'}")
    seen = []

    def watch(
        _connection: Any, _cursor: Any, statement: Any, parameters: Any, _context: Any, _many: Any
    ) -> None:
        seen.append((statement, parameters))

    sa.event.listen(store._database.engine.sync_engine, "before_cursor_execute", watch)
    care = RetentionStore(store)
    await care.expired(datetime.now(UTC), 10)
    await care.with_logs(10)
    await care.tombstones("anna", 10)
    asked = [one for one in seen if one[0].lstrip().startswith("SELECT")]
    assert len(asked) >= 3
    async with store.reading() as connection:
        for statement, parameters in asked:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [str(row[3]) for row in plan]  # type: ignore[misc]
            assert all("SCAN" not in step and "TEMP B-TREE" not in step for step in steps), (statement, steps)
    await store.close()


async def test_jobs_of_an_older_version_are_found_and_their_copies_known(tmp_path: Path, v: World) -> None:
    """A history that the migration meets: what it fills in is what a new job gets."""
    from alembic import command
    from alembic.config import Config

    from aiinfn_hub.vkd.database import migrations

    job = await ended(v, v.as_("anna"), BAD, accelerator="t4")
    wanted = await rows(v, texts), (await rows(v, jobs))[0]["snapshot"]
    assert wanted[1] == snapshot_digest(job["work"]["snapshot"])

    def back_and_forth(connection: Any) -> None:
        config = Config()
        config.set_main_option("script_location", migrations.__path__[0])
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
        assert not sa.inspect(connection).has_table("texts")
        command.upgrade(config, "head")

    async with v.service.store.writing() as connection:
        await connection.run_sync(back_and_forth)
    assert (await rows(v, texts), (await rows(v, jobs))[0]["snapshot"]) == wanted
    assert len(await rows(v, usage)) == 1
