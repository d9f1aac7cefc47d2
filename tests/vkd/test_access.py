"""Whose access was withdrawn: what the hub tells, what is kept, and what people read."""

import sqlite3
from pathlib import Path

from aiinfn_hub.vkd.database.migrations import HEAD
from aiinfn_hub.vkd.domain.backend import Holds
from tests.vkd.jobs import undo_description
from tests.vkd.local_world import QUICK, SLOW
from tests.vkd.local_world import World as LocalWorld
from tests.vkd.memory_backend import MemoryBackend
from tests.vkd.world import notebook, reaches, vkd

ANNA = {"owner": "anna", "project": "", "reason": "withdrawn", "stop": False}


async def test_only_the_hub_holds_jobs(tmp_path: Path) -> None:
    async with vkd(tmp_path, MemoryBackend) as world:
        for who in ("anna", "oscar", "mara", "other"):
            for method in ("GET", "PUT"):
                await world.as_(who).ask(method, "/access", json={"holds": [ANNA]}, status=403)
        await world.as_(None).ask("PUT", "/access", json={"holds": [ANNA]}, status=401)
        assert world.backend.holds == Holds()


async def test_a_held_job_says_why_and_counts_as_changed_and_the_hub_learns_who_has_jobs(
    tmp_path: Path,
) -> None:
    async with vkd(tmp_path, MemoryBackend) as world:
        anna, hub = world.as_("anna"), world.as_("hub")
        job = await anna.post("/jobs", notebook())
        through = (await anna.get("/jobs"))["revision"]
        _status, answer = await hub.ask("PUT", "/access", json={"holds": [ANNA]}, status=200)
        assert answer == {"holds": [ANNA], "jobs": {"anna": ["flavour"]}}
        assert world.backend.holds.entries == {("anna", ""): False}
        assert await hub.get("/access") == answer
        changed = await anna.get(f"/jobs?since_revision={through}")
        assert [each["id"] for each in changed["jobs"]] == [job["id"]]
        assert "held, because IAM lets its owner in no more" in changed["jobs"][0]["sentence"]

        stop = ANNA | {"project": "flavour", "reason": "project", "stop": True}
        await hub.ask("PUT", "/access", json={"holds": [stop]}, status=200)
        assert world.backend.holds.entries == {("anna", "flavour"): True}
        assert "left the project" in (await anna.get(f"/jobs/{job['id']}"))["sentence"]
        await hub.ask("PUT", "/access", json={"holds": []}, status=200)
        assert "held" not in (await anna.get(f"/jobs/{job['id']}"))["sentence"]
        world.backend.run(job["id"])
        world.backend.tell(job["id"], "succeeded", "completed")
        await reaches(anna, job["id"], "succeeded")
        assert (await hub.get("/access"))["jobs"] == {}


async def test_what_is_held_stays_held_over_a_restart(tmp_path: Path) -> None:
    async with vkd(tmp_path, MemoryBackend) as world:
        job = await world.as_("anna").post("/jobs", notebook())
        await world.as_("hub").ask("PUT", "/access", json={"holds": [ANNA]}, status=200)
    async with vkd(tmp_path, MemoryBackend) as world:
        assert world.backend.holds.entries == {("anna", ""): False}
        assert "held" in (await world.as_("anna").get(f"/jobs/{job['id']}"))["sentence"]


async def test_a_list_that_cannot_be_is_refused(tmp_path: Path) -> None:
    async with vkd(tmp_path, MemoryBackend) as world:
        hub = world.as_("hub")
        for holds in (
            [ANNA | {"owner": ""}],
            [ANNA | {"owner": "a\nb"}],
            [ANNA | {"reason": "because"}],
            [ANNA | {"more": 1}],
            "anna",
            [ANNA] * 10_001,
        ):
            status, _ = await hub.ask("PUT", "/access", json={"holds": holds})
            assert status in {400, 413, 422}, holds
        assert (await hub.get("/access"))["holds"] == []
        # The same person twice is one hold, and no error.
        await hub.ask("PUT", "/access", json={"holds": [ANNA, ANNA | {"stop": True}]}, status=200)
        assert world.backend.holds.entries == {("anna", ""): True}


async def test_a_database_of_the_version_before_gets_the_table(tmp_path: Path) -> None:
    async with vkd(tmp_path, MemoryBackend) as world:
        job = await world.as_("anna").post("/jobs", notebook())
    connection = sqlite3.connect(tmp_path / "vkd.sqlite")
    connection.execute("DROP TABLE holds")
    undo_description(connection)
    connection.execute("UPDATE alembic_version SET version_num = '0005'")
    connection.commit()
    connection.close()
    async with vkd(tmp_path, MemoryBackend) as world:
        assert (await world.as_("anna").get(f"/jobs/{job['id']}"))["state"] == "queued"
        await world.as_("hub").ask("PUT", "/access", json={"holds": [ANNA]}, status=200)
    connection = sqlite3.connect(tmp_path / "vkd.sqlite")
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
    connection.close()


async def test_a_vkd_that_starts_stops_what_may_not_go_on(tmp_path: Path) -> None:
    world = LocalWorld(tmp_path)
    await world.start()
    try:
        job = await world.submit(SLOW, accelerator="slice")
        await world.until(job, "running")
        waiting = await world.submit(QUICK, accelerator="slice")
        await world.stop()
        await world.start(holds=Holds({("alice", ""): True}))
        await world.until(job, "queued")
        await world.until(await world.submit(QUICK, accelerator="slice", person="bob"), "succeeded")
        assert world.states(waiting) == []
    finally:
        await world.end()
