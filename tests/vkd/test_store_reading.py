"""What is read for an answer is read in one trip to a thread, by connections that cannot change anything."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.database.tables import jobs
from aiinfn_hub.vkd.domain.records import Filter, View
from tests.vkd.jobs import a_job

ANNA = View("anna")


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    found = await JobStore.open(f"sqlite+aiosqlite:///{tmp_path / 'vkd.sqlite'}")
    yield found
    await found.close()


@pytest.mark.parametrize(
    "wanted",
    [Filter(), Filter(since=0), Filter(search=("train",)), Filter(label="paper"), Filter(project="flavour")],
    ids=["list", "since", "search", "label", "project"],
)
async def test_a_list_takes_one_trip_to_a_thread(
    store: Any, monkeypatch: pytest.MonkeyPatch, wanted: Filter
) -> None:
    kept = await store.insert(a_job(description={"labels": ["paper"]}))
    trips = []
    loop = asyncio.get_running_loop()
    run = loop.run_in_executor

    def counted(executor: Any, function: Any, *arguments: Any) -> Any:
        trips.append(function)
        return run(executor, function, *arguments)

    def refused(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("a trip to the thread of the writer")

    monkeypatch.setattr(loop, "run_in_executor", counted)
    monkeypatch.setattr(aiosqlite.Connection, "_execute", refused)
    page = await store.page(ANNA, wanted)
    assert [job.id for job in page.jobs] == [kept.id]
    assert (page.active, page.through) == (1, kept.change)
    assert len(trips) == 1
    assert (await store.get(kept.id)).id == kept.id
    assert len(trips) == 2


async def test_many_lists_at_a_time_are_all_answered(store: Any) -> None:
    kept = [await store.insert(a_job()) for _ in range(3)]
    pages = await asyncio.gather(*(store.page(ANNA, Filter(limit=1 + number % 3)) for number in range(60)))
    assert [len(page.jobs) for page in pages] == [1 + number % 3 for number in range(60)]
    assert pages[2].jobs[0].id == kept[-1].id


async def test_what_reads_cannot_change_anything(store: Any) -> None:
    kept = await store.insert(a_job())
    with pytest.raises(OperationalError, match="readonly"):
        await store._database.query(lambda connection: connection.execute(sa.delete(jobs)))
    assert (await store.get(kept.id)).id == kept.id


async def test_half_a_character_of_an_older_version_hides_no_job(store: Any) -> None:
    kept = await store.insert(a_job())
    async with store.writing() as connection:
        await connection.execute(
            sa.text("update jobs set description = :said"), {"said": '{"labels": ["\\ud800"]}'}
        )
    assert (await store.get(kept.id)).labels == ["\ud800"]


async def test_a_list_asked_for_twice_shows_what_changed_in_between(store: Any) -> None:
    first = await store.insert(a_job())
    assert [job.id for job in (await store.page(ANNA, Filter())).jobs] == [first.id]
    second = await store.insert(a_job())
    assert [job.id for job in (await store.page(ANNA, Filter())).jobs] == [second.id, first.id]
    assert [job.id for job in (await store.page(View("bruno"), Filter())).jobs] == []
