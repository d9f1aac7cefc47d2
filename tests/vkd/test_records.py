"""What a job tells about itself is checked as a request is, by the supervisor, on Kubernetes, and by vkd once more."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from aiinfn_hub.contract.records import (
    RecordRefusedError,
    check,
    merge_values,
    size,
)
from aiinfn_hub.contract.runner import Scalar
from aiinfn_hub.vkd.backends.common.attempt_files import AttemptFolder
from aiinfn_hub.vkd.backends.common.exit_outcome import (
    error_of,
    points_of,
    progress_of,
    values_of,
)
from aiinfn_hub.vkd.backends.common.runner_output import RECORD_TYPES, Recorder, Splitter  # type: ignore[attr-defined]
from aiinfn_hub.vkd.backends.kubernetes.archive import LogArchive
from aiinfn_hub.vkd.backends.local import launch, process
from aiinfn_hub.vkd.backends.local.environment import marks_in
from aiinfn_hub.vkd.backends.local.supervisor.main import EXIT_ROOM
from aiinfn_hub.vkd.database import migrations
from aiinfn_hub.vkd.database.jobs import JobStore
from tests.vkd.jobs import a_job, told
from tests.vkd.local_world import World, running
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import vkd

LOST = json.loads(r'"\ud800"')
SOLE = TypeAdapter(dict[str, Scalar])

odd_text = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(
    [LOST, "\0", "x" * 600, "é" * 200, "\x1e"]
)
odd_number = st.sampled_from([10**300, -5, -(2**60), 0, 3, True, 1e308, float("inf"), float("nan"), -0.5])
odd: st.SearchStrategy[Any] = st.recursive(
    st.none() | odd_number | st.integers() | st.floats() | odd_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_text, inner, max_size=6),
    max_leaves=12,
)
fields = st.sampled_from(
    ["cell", "cells", "name", "message", "traceback", "time", "cores", "memory", "busy", "accelerator_memory"]
)
record = st.builds(
    lambda kind, content, more: {**more, "type": kind, kind: content},
    st.sampled_from(RECORD_TYPES),
    odd | st.dictionaries(fields | odd_text, odd, max_size=8),
    st.dictionaries(odd_text, odd, max_size=2),
)
line = (
    st.builds(lambda value: json.dumps(value).encode(), record | odd)
    | st.builds(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), record)
    | st.binary(max_size=60)
).map(lambda data: b"\x1e" + data.replace(b"\n", b"") + b"\n")


def is_sound(records: dict[str, Any], points: list[dict[str, Any]]) -> None:
    """Everything can be kept, read again by vkd, and answered."""
    assert len(json.dumps(records, ensure_ascii=False).encode()) < 60 * 1024 < EXIT_ROOM
    again = json.loads(json.dumps(records))
    for found in (progress_of(again), error_of(again)):
        if found is not None:
            found.model_dump_json().encode()
    values = values_of(again)
    SOLE.dump_json(values)
    assert values == (records.get("values") or {}).get("values", {})
    json.dumps(values, allow_nan=False)
    assert "\0" not in json.dumps(values, ensure_ascii=False)
    progress = progress_of(again)
    assert (progress is None) == (records["progress"] is None)
    assert len(points_of(points)) == len(points)
    json.dumps(points, allow_nan=False)


@given(st.lists(line, max_size=12))
@settings(max_examples=300, deadline=None, database=None)
def test_whatever_a_job_writes_the_supervisor_keeps_what_can_be_shown(lines: list[Any]) -> None:
    splitter, recorder = Splitter(), Recorder()
    text, records = splitter.feed(b"".join(lines))
    notices = recorder.add(records)
    (text + notices).decode("utf-8", "replace")
    assert notices == b"" or notices.endswith(b".\n")
    is_sound(recorder.kept.records, recorder.series.points)


@given(st.lists(line, max_size=8))
@settings(max_examples=60, deadline=None, database=None)
def test_whatever_a_pod_writes_its_archive_keeps_what_can_be_shown(lines: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        attempt = AttemptFolder(Path(folder) / "1")
        archive = LogArchive(attempt, "p1", 100_000)
        archive.open()
        stream = b"".join(
            f"2026-11-24T12:00:{number:02}.5Z ".encode() + each for number, each in enumerate(lines)
        )
        news = archive.feed(stream)
        archive.finish()
        if news.progress is not None:
            news.progress.model_dump_json().encode()
        SOLE.dump_json(news.values)
        records = attempt.read_records()
        is_sound({"progress": None, "error": None} | records, attempt.read_resources())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"type": "progress", "progress": {"cell": -5, "cells": 9}}, "cell is negative or too large"),
        ({"type": "progress", "progress": {"cell": 1, "cells": 10**300}}, "cells is negative or too large"),
        ({"type": "progress", "progress": {"cell": True, "cells": 9}}, "cell is no whole number"),
        ({"type": "progress", "progress": {"cell": 1.0, "cells": 9}}, "cell is no whole number"),
        ({"type": "progress"}, "it has no progress"),
        ({"type": "values", "values": {"loss": float("nan")}}, "loss is not a finite number"),
        ({"type": "values", "values": {"loss": 10**300}}, "the number loss is too large"),
        ({"type": "values", "values": {"loss": [1]}}, "loss is no number, text or boolean"),
        ({"type": "values", "values": {"loss": "x" * 501}}, "the text of loss is longer than 500 characters"),
        ({"type": "values", "values": {"loss": "\0"}}, "the text of loss has a NUL character"),
        ({"type": "values", "values": {LOST: 1}}, "a name has a character that cannot be written as UTF-8"),
        ({"type": "values", "values": {"": 1}}, "a name is empty"),
        ({"type": "error", "error": {"name": "E", "message": LOST}}, "the error's message has a character"),
        ({"type": "error", "error": {"name": "E", "message": "", "cell": -1}}, "cell is negative"),
        ({"type": "resources", "resources": {"time": 10**400, "cores": 1, "memory": 1}}, "time is negative, not"),
        ({"type": "resources", "resources": {"time": 1, "cores": -1, "memory": 1}}, "cores is negative, not"),
        ({"type": "resources", "resources": {"time": 1, "cores": "1", "memory": 1}}, "cores is no number"),
    ],
)  # fmt: skip
def test_what_no_runner_would_write_is_refused_with_a_reason(content: dict[str, Any], why: str) -> None:
    with pytest.raises(RecordRefusedError, match=f"^{why}"):
        check(content)
    notice = Recorder().add([content]).decode()
    assert notice.startswith(f"[aiinfn] Something that this job told about itself was refused: {why}")


def test_a_long_traceback_is_shortened_and_not_refused() -> None:
    error = {
        "name": "ValueError",
        "message": "no data",
        "traceback": "\N{GRINNING FACE}" * 30_000 + "the end",
    }
    kept = check({"type": "error", "error": error})["error"]
    assert kept["traceback"].endswith("the end")
    assert size(kept) <= 24 * 1024


def test_many_values_stay_within_the_bound_and_the_rest_is_named() -> None:
    recorder = Recorder()
    notices = b"".join(
        recorder.add([{"type": "values", "values": {f"v{number}": "é" * 500}}]) for number in range(300)
    )
    recorder.add([{"type": "values", "values": {"v0": 1}}])
    values = recorder.kept.records["values"]["values"]
    assert size(values) <= 32 * 1024
    assert values["v0"] == 1
    assert notices.count(b"no room for v") == 10
    assert notices.endswith(b"More of what this job told about itself was refused.\n")


def test_the_bound_is_the_jobs_and_not_the_attempts() -> None:
    values: dict[str, Any] = {}
    for attempt in range(50):
        values, _ = merge_values(values, {f"{attempt}-{number}": number for number in range(60)})
    assert len(values) == 100


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    await world.start()
    yield world
    await world.end()


async def test_three_hundred_odd_records_neither_end_the_supervisor_nor_free_its_device(world: Any) -> None:
    odd = [
        {"type": "values", "values": [1]},
        {"type": "values", "values": {"a": {"b": 1}}},
        {"type": "values", "values": {"a": "\ud800"}},
        {"type": "progress", "progress": {"cell": 10**300, "cells": -5}},
        {"type": "resources", "resources": []},
        {"type": "resources", "resources": {"time": 10**400, "cores": 1e400, "memory": None}},
        {"type": "error", "error": "x"},
    ]
    code = (
        f"import json\nfor value in json.loads({json.dumps(odd)!r}) * 43:\n    record(**value)\n"
        "record(type='values', values=dict(loss=.5)); say('done')\n"
        "while not os.path.exists('go'): sleep(.02)"
    )
    job = await world.submit(code, accelerator="slice")
    await world.until_log(job, b"done")
    assert world.counts("slice") == (0, 0, 1, 0)
    (world.data / "homes" / "alice" / "go").touch()
    end = await world.until(job, "succeeded")
    assert end.values == {"loss": 0.5}
    log = (await world.log(job)).decode()
    assert "was refused: the number" not in log
    assert "was refused: the text of a has a character that cannot be written as UTF-8.\n" in log
    assert log.count("was refused") == len({json.dumps(value) for value in odd})


async def test_a_supervisor_that_fails_ends_its_job_and_says_so(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the fault is. Here: a limit that is no number, which it finds when the job runs already."""
    real = launch.attempt_spec  # type: ignore[attr-defined]
    monkeypatch.setattr(launch, "attempt_spec", lambda *a, **k: {**real(*a, **k), "time_limit": "soon"})
    before = set(psutil.pids())
    job = await world.submit("daemon(); sleep(120)", accelerator="slice")
    end = await world.until(job, "failed")
    assert str(end.message).startswith("Failed: the process that supervises it ended by a fault.")
    assert world.facts(job, "exit.json")["message"].startswith("TypeError: ")
    mine = world.facts(job, "run.json")
    assert not running({mine["pid"], mine["supervisor"]} - before)
    assert not process._with(marks_in(world.facts(job, "spec.json")))
    assert world.counts("slice") == (1, 0, 0, 0)


@pytest.fixture
async def v(tmp_path: Path) -> Any:
    async with vkd(tmp_path, MemoryBackend) as running:
        yield running


async def test_a_row_that_cannot_be_shown_hides_no_other(v: Any, tmp_path: Path) -> None:
    """As an older version wrote them: the database is what it is."""
    ids = []
    for _ in range(7):
        store = v.service.store
        job = await store.insert(a_job())
        await store.apply(told(job.id, "starting"))
        ids.append(job.id)
    odd = {
        ids[0]: ("recorded", {"a": "\ud800", "fine": 1}),
        ids[1]: ("progress", {"cell": "x", "cells": -5}),
        ids[2]: ("error", {"name": "\ud800"}),
        ids[3]: ("selection", {}),
        ids[4]: ("work", {"kind": "notebook", "path": "/etc"}),
        ids[5]: ("description", {"labels": ["\udfff"]}),
    }
    with sqlite3.connect(tmp_path / "vkd.sqlite") as connection:
        for job_id, (column, value) in odd.items():
            connection.execute(
                f"UPDATE jobs SET {column} = ? WHERE id = ?",
                (json.dumps(value), job_id),
            )
    connection.close()
    anna = v.as_("anna")
    listed = {job["id"]: job for job in (await anna.get("/jobs"))["jobs"]}
    assert set(listed) == set(ids)
    assert listed[ids[0]]["values"] == {"fine": 1}
    assert listed[ids[1]]["progress"] is None
    assert listed[ids[2]]["error"] is None
    for odd_id in (ids[3], ids[4]):
        assert listed[odd_id]["sentence"].startswith("What is kept of this job cannot be read.")
        assert listed[odd_id]["actions"] == ["cancel"]
        await anna.post(f"/jobs/{odd_id}/cancel", status=202)
    assert listed[ids[5]]["labels"] == ["?"]
    for job_id in ids:
        assert (await anna.get(f"/jobs/{job_id}"))["id"] == job_id


async def test_values_of_many_attempts_stay_within_the_bound_in_the_store(tmp_path: Path) -> None:
    from aiinfn_hub.vkd.domain.records import Notes

    store = await JobStore.open(f"sqlite+aiosqlite:///{tmp_path / 'vkd.sqlite'}")
    job = await store.insert(a_job())
    for attempt in range(4):
        await store.note(Notes(recorded={job.id: {f"{attempt}-{n}": "x" * 400 for n in range(80)}}))
    kept = await store.get(job.id)
    assert kept is not None
    assert size(kept.recorded) <= 32 * 1024
    assert kept.recorded["0-0"] == "x" * 400
    await store.close()


async def test_huge_records_of_an_older_version_leave_the_database_with_its_migration(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'vkd.sqlite'}"
    store = await JobStore.open(url)
    jobs = [await store.insert(a_job()) for _ in range(3)]
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))

    def older(connection: sa.Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")

    async with store.writing() as connection:
        await connection.run_sync(older)
    await store.close()
    with sqlite3.connect(tmp_path / "vkd.sqlite") as database:
        for job in jobs[:2]:
            huge = json.dumps({str(number): "x" * 250_000 for number in range(100)})
            database.execute("UPDATE jobs SET recorded = ? WHERE id = ?", (huge, job.id))
        database.execute("UPDATE jobs SET recorded = '{\"a\": 1}' WHERE id = ?", (jobs[2].id,))
    database.close()
    store = await JobStore.open(url)
    assert [job.recorded for job in await store.unfinished()] == [{}, {}, {"a": 1}]
    await store.close()
    with sqlite3.connect(tmp_path / "vkd.sqlite") as database:
        # Not only hidden: a list would read, and parse, all of it each time.
        assert database.execute("SELECT max(length(recorded)) FROM jobs").fetchone() == (8,)
    database.close()


@given(
    st.dictionaries(
        st.integers(0, 200).map("v{}".format),
        st.sampled_from([1, 40, 320, 330, 1000]).map("x".__mul__),
        max_size=130,
    )
)
def test_values_that_come_together_are_kept_as_those_that_come_one_by_one(values: dict[str, Any]) -> None:
    kept: dict[str, Any] = {}
    left: list[Any] = []
    for name, value in values.items():
        kept, without_room = merge_values(kept, {name: value})
        left += without_room
    assert merge_values({}, values) == (kept, left)
