"""Following a job over HTTP: what it uses, and what happened while it started."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.contract.constants import MOST_STARTUP_STEPS
from aiinfn_hub.contract.runner import ResourcePoint
from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.domain.backend import StartupEvent
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import World, notebook, until, vkd

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.fixture
async def v(tmp_path: Path) -> AsyncIterator[World]:
    async with vkd(tmp_path, MemoryBackend) as running:
        yield running


async def begun(v: World, **choices: Any) -> Any:
    """Give a job that runs."""
    job_id = (await v.as_("anna").post("/jobs", notebook(**choices)))["id"]
    v.backend.run(job_id)
    await in_state(v, job_id, "running")
    return job_id


async def in_state(v: World, job_id: str, state: str) -> None:
    async def so() -> bool:
        return (await v.as_("anna").get(f"/jobs/{job_id}"))["state"] == state

    await until(so, f"the job is {state}")


def step(message: str, seconds: float = 0) -> StartupEvent:
    return StartupEvent(NOON + timedelta(seconds=seconds), Message("text", text=message))


async def startup(v: World, job_id: str) -> dict[int, list[str]]:
    """Give the messages by the index of their entry."""
    entries = await v.as_("anna").get(f"/jobs/{job_id}/events")
    return {
        index: [each["message"] for each in entry["startup"]]
        for index, entry in enumerate(entries)
        if entry["startup"]
    }


async def test_what_a_job_uses_is_shown_with_its_size_as_the_scale(v: World) -> None:
    job = await begun(v, size="large", accelerator="t4")
    before = await v.as_("anna").get(f"/jobs/{job}/resources")
    assert (before["points"], before["sentences"], before["final"]) == ([], [], False)
    v.backend.used[job, 1] = [
        ResourcePoint(time=60, cores=0.5, memory=2**28),
        ResourcePoint(time=120, cores=2.1, memory=2**29),
    ]
    shown = await v.as_("anna").get(f"/jobs/{job}/resources")
    assert (shown["attempt"], shown["cores"], shown["memory"]) == (1, 2, 2 * 2**30)
    assert (shown["accelerator_title"], shown["count"], shown["simulated"]) == ("T4", 1, True)
    assert shown["sentences"] == [
        "Peak memory 0.5 of 2\N{NO-BREAK SPACE}GiB.",
        "CPU 1.3 of 2 cores on average.",
        "T4 is simulated here and has no figures.",
    ]
    assert shown["advice"] == []
    v.backend.tell(job, JobState.SUCCEEDED, Cause.COMPLETED)
    await in_state(v, job, "succeeded")
    shown = await v.as_("anna").get(f"/jobs/{job}/resources")
    assert shown["final"]
    assert shown["advice"] == [], "a smaller size has too few cores for it"


async def test_advice_comes_when_the_job_is_over(v: World) -> None:
    job = await begun(v, size="large")
    v.backend.used[job, 1] = [ResourcePoint(time=90, cores=0.5, memory=2**26)]
    assert (await v.as_("anna").get(f"/jobs/{job}/resources"))["advice"] == []
    v.backend.tell(job, JobState.SUCCEEDED, Cause.COMPLETED)
    await in_state(v, job, "succeeded")
    (advice,) = (await v.as_("anna").get(f"/jobs/{job}/resources"))["advice"]
    assert (
        advice
        == "It used at most 64\N{NO-BREAK SPACE}MiB of 2\N{NO-BREAK SPACE}GiB: a smaller size starts sooner, for example Small."
    )
    italian = await v.as_("anna").get(f"/jobs/{job}/resources", headers={"Accept-Language": "it"})
    assert italian["advice"] != [advice]


async def test_each_attempt_has_its_own_figures(v: World) -> None:
    job = await begun(v)
    v.backend.used[job, 1] = [ResourcePoint(time=2, cores=1, memory=100)]
    v.backend.tell(job, JobState.QUEUED, Cause.PREEMPTED)
    v.backend.run(job, 2)

    async def again() -> bool:
        found = await v.as_("anna").get(f"/jobs/{job}")
        return (found["state"], found["attempt"]) == ("running", 2)

    await until(again, "the second attempt runs")
    assert (await v.as_("anna").get(f"/jobs/{job}/resources"))["points"] == []
    first = await v.as_("anna").get(f"/jobs/{job}/resources?attempt=1")
    assert (len(first["points"]), first["final"]) == (1, True)
    refused = await v.as_("anna").get(f"/jobs/{job}/resources?attempt=3", status=404)
    assert refused["message"] == "This job has no attempt 3."


async def test_nobody_else_sees_what_a_job_uses(v: World) -> None:
    job = await begun(v)
    await v.as_("nina").get(f"/jobs/{job}/resources", status=404)


async def test_what_happens_at_a_start_is_kept_with_its_attempt(v: World) -> None:
    job = (await v.as_("anna").post("/jobs", notebook()))["id"]
    v.backend.tell(job, None, startup=(step("No node has a T4 free now."),))

    async def told() -> dict[int, list[str]]:
        return await startup(v, job)

    await until(told, "the message is kept")
    assert await startup(v, job) == {0: ["No node has a T4 free now."]}, "it waits"
    v.backend.run(job)
    v.backend.tell(job, None, startup=(step("Fetching.", 9), step("On node-1.", 5)))
    v.backend.tell(job, None, startup=(step("Fetching.", 30),))
    await in_state(v, job, "running")

    async def both() -> bool:
        return len((await startup(v, job)).get(1, [])) == 3

    await until(both, "the messages are kept")
    assert await startup(v, job) == {1: ["No node has a T4 free now.", "On node-1.", "Fetching."]}
    v.backend.tell(job, JobState.QUEUED, Cause.PREEMPTED)
    v.backend.run(job, 2)
    v.backend.tell(job, None, attempt=2, startup=(step("On node-2.", 99),))

    async def again() -> bool:
        return (await startup(v, job)).get(4) == ["On node-2."]

    await until(again, "the second start is kept apart")
    assert len((await startup(v, job))[1]) == 3


async def test_a_start_that_does_not_come_to_an_end_is_kept_in_part(v: World) -> None:
    job = await begun(v)
    for number in range(MOST_STARTUP_STEPS + 20):
        v.backend.tell(job, None, startup=(step(f"Message {number}.", number),))

    async def full() -> bool:
        return len((await startup(v, job)).get(1, [])) == MOST_STARTUP_STEPS

    await until(full, "the messages are kept")
    v.backend.tell(job, None, startup=(step("One more."),))
    v.backend.tell("nosuchjob", None, startup=(step("Of nobody."),))
    v.backend.tell(job, JobState.SUCCEEDED, Cause.COMPLETED)
    await in_state(v, job, "succeeded")
    await v.service.recorder.flush()
    assert len((await startup(v, job))[1]) == MOST_STARTUP_STEPS


async def test_history_is_told_in_the_language_and_the_zone_of_the_request(v: Any) -> None:
    job_id = await begun(v)
    at = datetime(2026, 7, 1, 10, 5, tzinfo=UTC)
    v.backend.tell(
        job_id, JobState.QUEUED, Cause.PREEMPTED, message=Message("again.gave", devices="T4", at=at)
    )
    await in_state(v, job_id, "queued")
    told = []
    for headers in (
        {},
        {"Accept-Language": "it", "Prefer": "timezone=Europe/Rome"},
        {"Accept-Language": "it", "Prefer": "timezone=+05:30"},
    ):
        entry = (await v.as_("anna").get(f"/jobs/{job_id}/events", headers=headers))[-1]
        assert (entry["code"], entry["facts"]) == ("again.gave", {"devices": "T4", "at": at.isoformat()})
        told.append(entry["message"])
    assert told == [
        "Gave its T4 to a session at 10:05 UTC; waiting again.",
        "Ha ceduto T4 a una sessione alle 12:05 CEST; di nuovo in attesa.",
        "Ha ceduto T4 a una sessione alle 15:35 UTC+05:30; di nuovo in attesa.",
    ]
