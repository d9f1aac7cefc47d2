"""Sweeps: what they show, who is next, and a hundred points that are preempted, restarted under, and run once each."""

import asyncio
import contextlib
import csv
import io
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.states import TRANSITIONS, Cause
from aiinfn_hub.contract.sweeps import SweepProgress
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.backends.local.backend import LocalBackend
from aiinfn_hub.vkd.domain.sweep_points import counted, together
from tests.vkd.jobs import BAD, OFF, OK, Q, R, S
from tests.vkd.local_world import SMALL_JOB
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import Client, World, notebook, until, vkd


@pytest.fixture
async def v(tmp_path: Path) -> AsyncIterator[World]:
    async with vkd(tmp_path, MemoryBackend) as running:
        yield running


def sweep(points: int = 5, parallelism: int = 2, **more: Any) -> dict[str, Any]:
    return notebook(
        sweep={"points": [{"lr": number / 10} for number in range(points)], "parallelism": parallelism},
        **more,
    )


async def table(client: Client, sweep_id: Any) -> Any:
    return (await client.get(f"/jobs/{sweep_id}/points"))["points"]


async def shown(client: Client, sweep_id: Any, **wanted: Any) -> Any:
    """Wait until a sweep shows what is wanted."""

    async def there() -> Any:
        job = await client.get(f"/jobs/{sweep_id}")
        seen = {**job, **job["sweep"]}
        return job if all(seen[key] == value for key, value in wanted.items()) else None

    return await until(there, f"the sweep shows {wanted}")


async def handed(v: World, number: int) -> Any:
    """Wait until so many points are in the back end's hands that are not over; give their ids in order."""

    async def there() -> Any:
        return list(v.backend.waiting) if len(v.backend.waiting) == number else None

    return await until(there, f"{number} points wait in the back end")


# What a sweep is


@given(st.lists(st.tuples(st.integers(0, 5), st.randoms(use_true_random=False)), max_size=60))
def test_whatever_points_do_a_sweep_goes_through_allowed_states_and_counts_right(moves: list[Any]) -> None:
    points = [Q] * 6
    progress, state = SweepProgress(points=6, parallelism=3, queued=6), Q
    for which, random in moves:
        after = sorted(TRANSITIONS[points[which]])
        if not after:
            continue
        new = random.choice(after)
        progress = counted(progress, points[which], new)
        points[which] = new
        for step in together(state, progress):
            assert step in TRANSITIONS[state], f"{state} -> {step}"
            state = step
        count = Counter(points)
        assert (progress.queued, progress.starting, progress.running) == (count[Q], count[S], count[R])
        assert (progress.succeeded, progress.failed, progress.cancelled) == (
            count[OK],
            count[BAD],
            count[OFF],
        )
        if count[R]:
            assert state is R
        elif count[S]:
            assert state is S
        elif count[Q]:
            assert state is Q
        else:
            assert state is (BAD if count[BAD] else OFF if count[OFF] else OK)


# Over HTTP


async def test_a_sweep_is_one_job_in_the_list_and_hands_over_so_many_points_at_a_time(v: World) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep(name="scan"))
    assert job["sweep"] == {
        "points": 5, "parallelism": 2, "queued": 5, "starting": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    assert job["sentence"] == "Waiting in Opportunistic: 0 of 5 points done"
    assert job["output"] == f"analysis/train.{job['id']}"
    first, second = await handed(v, 2)
    assert [v.backend.all[each].work.parameters for each in (first, second)] == [{"lr": 0.0}, {"lr": 0.1}]
    assert v.backend.all[second].output == f"analysis/train.{job['id']}/0002.ipynb"
    page = await anna.get("/jobs")
    assert ([each["id"] for each in page["jobs"]], page["active"]) == ([job["id"]], 1)
    points = (await anna.get(f"/jobs?sweep={job['id']}"))["jobs"]
    assert [(each["point"], each["sweep_of"], each["name"]) for each in reversed(points)] == [
        (number, job["id"], f"scan, point {number}") for number in range(1, 6)
    ]
    assert points[0]["sentence"].endswith("; it comes when others of its sweep have ended")
    v.backend.run(first)
    await shown(anna, job["id"], state="running", sentence="Running: 0 of 5 points done, 1 running")
    v.backend.tell(first, OK, Cause.COMPLETED)
    await handed(v, 2)
    await shown(anna, job["id"], succeeded=1, queued=4)


async def test_of_a_sweep_whose_points_all_end_well_the_end_is_told_once(v: World) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep(points=3, parallelism=3))
    for point in await handed(v, 3):
        v.backend.run(point)
        v.backend.tell(point, OK, Cause.COMPLETED)
    done = await shown(anna, job["id"], state="succeeded")
    assert done["sentence"] == "Finished: all 3 points"
    assert done["actions"] == ["rerun", "delete", "edit"]
    states = [entry["state"] for entry in await anna.get(f"/jobs/{job['id']}/events")]
    assert states[0] == "queued"
    assert states.count("succeeded") == 1
    assert states[-1] == "succeeded"


async def test_a_preempted_point_is_told_of_its_sweep_which_waits_if_nothing_else_runs(v: World) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep(points=3, parallelism=1))
    (point,) = await handed(v, 1)
    v.backend.run(point)
    await shown(anna, job["id"], state="running")
    v.backend.tell(point, Q, Cause.PREEMPTED, message=Message("again.suspended"))
    told = await shown(anna, job["id"], state="queued", preemptions=1)
    assert told["sentence"] == "Made room for a session; waiting again in Opportunistic: 0 of 3 points done"
    assert (await anna.get(f"/jobs/{job['id']}/events"))[-1]["cause"] == "preempted"
    v.backend.run(point, attempt=2)
    await shown(anna, job["id"], state="running")


async def test_only_what_failed_runs_again_and_the_table_shows_the_rest_as_carried_over(v: World) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep(points=3, parallelism=3))
    for number, point in enumerate(await handed(v, 3), 1):
        v.backend.run(point)
        v.backend.tell(point, BAD if number == 2 else OK, Cause.ERROR if number == 2 else Cause.COMPLETED)
    done = await shown(anna, job["id"], state="failed")
    assert done["sentence"] == "Finished, but 1 of 3 points failed"
    again = await anna.post(f"/jobs/{job['id']}/rerun", {})
    assert (again["sweep"]["points"], again["rerun_of"]) == (1, job["id"])
    (point,) = await handed(v, 1)
    assert v.backend.all[point].work.parameters == {"lr": 0.1}
    rows = await table(anna, again["id"])
    assert [(row["point"], row["state"], row["carried"]) for row in rows] == [
        (1, "succeeded", True),
        (2, "queued", False),
        (3, "succeeded", True),
    ]
    v.backend.run(point)
    v.backend.tell(point, OK, Cause.COMPLETED)
    await shown(anna, again["id"], state="succeeded")
    # A point by itself, or some by their numbers.
    assert (await anna.post(f"/jobs/{point}/rerun", {}))["sweep"]["points"] == 1
    assert (await anna.post(f"/jobs/{again['id']}/rerun?points=1,3", {}))["sweep"]["points"] == 2
    assert (await anna.post(f"/jobs/{again['id']}/rerun?points=all", {}))["sweep"]["points"] == 3


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ("4", 400, "These are not points of this sweep."),
        ("1;2", 400, "These are not points of this sweep."),
        ("failed", 409, "All points of this sweep succeeded."),
    ],
)
async def test_points_that_are_not_there_do_not_run_again(
    v: World, asked: str, status: int, words: str
) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep(points=1))
    problem = await anna.post(f"/jobs/{job['id']}/rerun?points=all", {}, status=409)
    assert problem["message"] == "The sweep is not over yet."
    (point,) = await handed(v, 1)
    v.backend.run(point)
    v.backend.tell(point, OK, Cause.COMPLETED)
    await shown(anna, job["id"], state="succeeded")
    problem = await anna.post(f"/jobs/{job['id']}/rerun?points={asked}", {}, status=status)
    assert (problem["message"], problem["field"]) == (words, "points")


async def test_cancelling_a_sweep_ends_what_waits_at_once_and_what_runs_when_it_is_gone(v: World) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep(points=4, parallelism=2))
    first, second = await handed(v, 2)
    v.backend.unhurried = True
    v.backend.run(first)
    await shown(anna, job["id"], running=1)
    told = await anna.post(f"/jobs/{job['id']}/cancel", {}, status=202)
    assert told["sentence"].startswith("Being cancelled: ")
    await shown(anna, job["id"], cancelled=2)

    async def asked() -> bool:
        return sorted(v.backend.cancelled) == sorted([first, second])

    await until(asked, "the back end is asked for the others")
    v.backend.tell(first, OFF, Cause.CANCELLED)
    v.backend.tell(second, OFF, Cause.CANCELLED, attempt=0)
    done = await shown(anna, job["id"], state="cancelled", cancelled=4)
    assert done["sentence"] == "Cancelled: 0 of 4 points finished"
    assert not v.backend.waiting


async def test_a_point_that_still_waits_can_be_cancelled_by_itself(v: World) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep(points=3, parallelism=1))
    await handed(v, 1)
    last = (await table(anna, job["id"]))[-1]["job"]
    await anna.post(f"/jobs/{last}/cancel", {}, status=202)
    await shown(anna, job["id"], cancelled=1, queued=2)
    assert (await anna.get(f"/jobs/{last}"))["state"] == "cancelled"
    assert v.backend.cancelled == []


async def test_a_point_that_the_back_end_refuses_fails_and_the_next_has_its_turn(v: World) -> None:
    v.backend.refuse = Refusal(Reason.TOO_LARGE, "It can never start.", "Ask for fewer.")
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep(points=2, parallelism=1))
    done = await shown(anna, job["id"], state="failed", failed=2)
    assert "2 of 2 points failed" in done["sentence"]
    rows = await table(anna, job["id"])
    events = await anna.get(f"/jobs/{rows[0]['job']}/events")
    assert events[-1]["message"] == "It can never start. Ask for fewer."


async def test_values_that_points_record_stand_in_the_table_and_in_the_csv(v: World) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep(points=2, parallelism=2))
    for number, point in enumerate(await handed(v, 2), 1):
        v.backend.run(point)
        v.backend.tell(point, None, values={"loss": 1.0, "note": "=cmd()"})
        v.backend.tell(point, None, values={"loss": 0.5 / number})
        v.backend.tell(point, OK, Cause.COMPLETED)

    async def recorded() -> Any:
        return all(row["values"] for row in await table(anna, job["id"]))

    await until(recorded, "the values are kept")
    assert [row["values"]["loss"] for row in await table(anna, job["id"])] == [0.5, 0.25]
    async with v.http.get(
        f"{v.root}/services/vkd/api/v1/jobs/{job['id']}/points?format=csv",
        headers={"Authorization": "token token-anna"},
    ) as answer:
        assert answer.content_type == "text/csv"
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [(row["point"], row["lr"], row["loss"], row["note"]) for row in rows] == [
        ("1", "0.0", "0.5", "'=cmd()"),
        ("2", "0.1", "0.25", "'=cmd()"),
    ]


async def test_a_script_gets_the_values_as_arguments(v: World) -> None:
    work = {"kind": "script", "path": "run.py", "snapshot": ".aiinfn/jobs/q/run.py", "arguments": ["-v"]}
    points = [{"seed": 3, "fast": True, "name": "a b"}]
    await v.as_("anna").post("/jobs", {"work": work, "sweep": {"points": points}})
    (point,) = await handed(v, 1)
    assert v.backend.all[point].work.arguments == ["-v", "--seed=3", "--fast=true", "--name=a b"]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"points": []}, 400, ""),
        ({"points": [{}]}, 400, "Point 1 has no values."),
        ({"points": [{"a": 1}, {"no name": 1}]}, 400, "Point 2: A parameter's name must be one word"),
        ({"points": [{"a": 1}] * 1001}, 400, ""),
        ({"points": [{"a": "x" * 600}] * 999}, 422, "The points are larger than 512 KiB together."),
        ({"points": [{"a": 1}], "parallelism": 0}, 400, ""),
    ],
)
async def test_a_sweep_that_cannot_be_is_refused_whole(
    v: World, changes: dict[str, Any], status: int, words: str
) -> None:
    problem = await v.as_("anna").post("/jobs", notebook(sweep=changes), status=status)
    assert words in problem["message"]
    assert not v.backend.all


async def test_a_double_click_is_one_sweep_and_the_limit_of_points_is_exact(tmp_path: Path) -> None:
    limits = {"sweep_points_per_person": 12, "jobs_waiting_per_person": 2}
    async with vkd(tmp_path, MemoryBackend, limits=limits) as v:
        anna = v.as_("anna")
        answers = await asyncio.gather(
            *(
                anna.ask("POST", "/jobs", json=sweep(points=10), headers={"Idempotency-Key": "click"})
                for _ in range(3)
            )
        )
        assert sorted(status for status, _ in answers) == [200, 200, 201]
        assert len({job["id"] for _, job in answers}) == 1
        problem = await anna.post("/jobs", sweep(points=3), status=429)
        assert problem["message"] == "You may have 12 points of sweeps waiting; 10 are already."
        await anna.post("/jobs", sweep(points=2))
        assert "2 of your jobs are waiting" in (await anna.post("/jobs", notebook(), status=429))["message"]


async def test_what_belongs_to_others_is_not_shown(v: World) -> None:
    job = await v.as_("anna").post("/jobs", sweep())
    await v.as_("bruno").get(f"/jobs/{job['id']}/points", status=404)
    assert (await v.as_("bruno").get(f"/jobs?sweep={job['id']}"))["jobs"] == []
    assert len((await v.as_("mara").get(f"/jobs?sweep={job['id']}"))["jobs"]) == 5
    single = await v.as_("anna").post("/jobs", notebook())
    problem = await v.as_("anna").get(f"/jobs/{single['id']}/points", status=409)
    assert problem["message"] == "This job is no sweep."


# With real processes


POINT = """
number = int(spec["work"]["arguments"][1].split("=")[1])
open(spec["home"] + "/begun", "a").write(f"{number}\\n")
sleep(0.3)
if number == 42 and not os.path.exists(spec["home"] + "/mended"): exit(3)
record(type="values", values={"square": number ** 2})
"""


IN_TURN = "sleep(0.25)"


def numbers(path: Path) -> list[Any]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


async def test_a_hundred_points_at_most_eight_at_once_preempted_twice_one_failing(tmp_path: Path) -> None:
    """Also restarted under once. Nothing that ended runs again, and the failed point alone runs again."""
    homes = tmp_path / "data" / "homes" / "anna"

    def backend(platform: Platform) -> LocalBackend:
        command = [sys.executable, "-I", "-S", str(SMALL_JOB)]
        return LocalBackend(platform, tmp_path / "data", None, command=command, cores=64, memory=2**40)

    work = {"kind": "script", "path": "run.py", "snapshot": ".aiinfn/jobs/q/run.py", "arguments": [POINT]}
    request = {
        "work": work,
        "accelerator": "t4",
        "sweep": {"points": [{"n": number} for number in range(1, 101)], "parallelism": 8},
    }
    device = {"title": "T4", "kind": "gpu", "resource": "nvidia.com/gpu", "simulated": 8}
    more: dict[str, Any] = {"accelerators": {"t4": device}, "use_real_devices": False}
    async with vkd(tmp_path, backend, **more) as v:
        job = await v.as_("anna").post("/jobs", request)
        for number in (1, 2):
            await shown_at_least(v.as_("anna"), job["id"], 20 * number)
            running = (await v.as_("anna").get(f"/jobs/{job['id']}"))["sweep"]
            assert running["running"] + running["starting"] <= 8
            session = {"owner": "bruno", "project": "flavour", "accelerator": "t4", "count": 8, "until": "2030-01-01T00:00:00Z"}  # fmt: skip
            await v.as_("hub").ask("PUT", f"/claims/s{number}", json=session, status=200)
            await asyncio.sleep(0.5)
            await v.as_("hub").ask("DELETE", f"/claims/s{number}")
        await shown_at_least(v.as_("anna"), job["id"], 60)
    async with vkd(tmp_path, backend, **more) as v:
        anna = v.as_("anna")
        done = await shown(anna, job["id"], state="failed")
        assert (done["sweep"]["succeeded"], done["sweep"]["failed"]) == (99, 1)
        assert done["preemptions"] >= 2
        # Each point began once, and once more for each time it made room for a session or was put back by the restart.
        rows = await table(anna, job["id"])
        histories = [await anna.get(f"/jobs/{row['job']}/events") for row in rows if row["attempt"] > 1]
        back = Counter(each["cause"] for events in histories for each in events if each["state"] == "queued")
        assert back["preempted"] == done["preemptions"]
        assert back.keys() <= {"submitted", "preempted", "interrupted"}
        assert sum(row["attempt"] for row in rows) == 100 + back["preempted"] + back["interrupted"]
        begun = Counter(numbers(homes / "begun"))
        assert all(1 <= begun[row["point"]] <= row["attempt"] for row in rows)
        again = await anna.post(f"/jobs/{job['id']}/rerun", {})
        (homes / "mended").touch()
        before = len(numbers(homes / "begun"))
        await shown(anna, again["id"], state="succeeded")
        assert numbers(homes / "begun")[before:] == [42]

        async def complete() -> Any:
            rows = await table(anna, again["id"])
            return rows if all("square" in row["values"] for row in rows) else None

        rows = await until(complete, "every point has its value")
        assert [row["values"]["square"] for row in rows] == [number**2 for number in range(1, 101)]
        assert [row["point"] for row in rows if not row["carried"]] == [42]
        assert json.loads(json.dumps(rows)) == rows


async def test_the_points_of_a_sweep_that_is_preempted_three_times_start_in_order(tmp_path: Path) -> None:
    """Whenever a device is free, the lowest point that waits has it, also where several were preempted at once."""
    command = [sys.executable, "-I", "-S", str(SMALL_JOB)]

    def backend(platform: Platform) -> LocalBackend:
        return LocalBackend(platform, tmp_path / "data", None, command=command, cores=64, memory=2**40)

    work = {"kind": "script", "path": "run.py", "snapshot": ".aiinfn/jobs/q/run.py", "arguments": [IN_TURN]}
    request = {
        "work": work,
        "accelerator": "t4",
        "sweep": {"points": [{"n": number} for number in range(1, 21)], "parallelism": 7},
    }
    device = {"title": "T4", "kind": "gpu", "resource": "nvidia.com/gpu", "simulated": 3}
    async with vkd(tmp_path, backend, accelerators={"t4": device}, use_real_devices=False) as v:
        anna = v.as_("anna")
        job = await anna.post("/jobs", request)
        for number in (1, 2, 3):
            await shown_at_least(anna, job["id"], 4 * number)
            session = {"owner": "bruno", "project": "flavour", "accelerator": "t4", "count": 3, "until": "2030-01-01T00:00:00Z"}  # fmt: skip
            await v.as_("hub").ask("PUT", f"/claims/s{number}", json=session, status=200)
            await shown(anna, job["id"], running=0, starting=0)
            await v.as_("hub").ask("DELETE", f"/claims/s{number}")
        done = await shown(anna, job["id"], state="succeeded")
        assert done["preemptions"] >= 3
        rows = await table(anna, job["id"])
        events = [
            (event["time"], row["point"], event["state"], event["attempt"])
            for row in rows
            for event in await anna.get(f"/jobs/{row['job']}/events")
        ]
    waiting = set(range(1, 21))
    started: list[int] = []
    for _, point, state, _ in sorted(events):
        if state == "starting":
            assert point == min(waiting), started
            waiting.remove(point)
            started.append(point)
        elif state == "queued":
            waiting.add(point)
    assert len(started) == 20 + done["preemptions"]


async def shown_at_least(client: Client, sweep_id: Any, number: int) -> None:
    async def there() -> bool:
        return (await client.get(f"/jobs/{sweep_id}"))["sweep"]["succeeded"] >= number

    await until(there, f"{number} points have ended")


async def test_a_sweep_in_the_words_of_an_older_database_is_shown(v: World, tmp_path: Path) -> None:
    anna = v.as_("anna")
    job = await anna.post("/jobs", sweep())
    older = {"points": 5, "at_most": 2, "waiting": 5}
    with contextlib.closing(sqlite3.connect(tmp_path / "vkd.sqlite")) as connection, connection:
        connection.execute("UPDATE jobs SET sweep = ? WHERE id = ?", (json.dumps(older), job["id"]))
    assert (await anna.get(f"/jobs/{job['id']}"))["sweep"] == job["sweep"]
