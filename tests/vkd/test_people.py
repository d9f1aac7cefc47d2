"""A user name that is given free: whoever has it next sees nothing of the former person's jobs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.vkd.database import people
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.database.tables import metadata
from aiinfn_hub.vkd.domain.records import Filter, View
from tests.vkd.jobs import OFF, OK, PATHS, START, Q, R, S, a_job, told

AS = "anna/released-20261128T120000Z"


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[JobStore]:
    found = await JobStore.open(f"sqlite+aiosqlite:///{tmp_path / 'vkd' / 'vkd.sqlite'}")
    yield found
    await found.close()


async def keep(store: JobStore, owner: str, state: JobState, **more: Any) -> Any:
    job = await store.insert(a_job(owner, **more))
    for step in PATHS[state]:
        await store.apply(told(job.id, step))
    return job.id


async def test_jobs_of_a_released_name_are_nobodys_who_can_sign_in(store: JobStore) -> None:
    mine = [
        await keep(store, "anna", OK, description={"labels": ["paper"]}, key="k"),
        await keep(store, "anna", OFF),
    ]
    other = await keep(store, "annabel", OK)
    before = store.change
    assert await people.release(store, "anna", AS, dry_run=True) == 2
    assert store.change == before
    assert (await store.get(mine[0])).owner == "anna"

    assert await people.release(store, "anna", AS, dry_run=False) == 2
    assert store.change > before
    assert {(await store.get(job)).owner for job in mine} == {AS}
    assert (await store.get(other)).owner == "annabel"
    for wanted in (
        Filter(),
        Filter(owner="anna"),
        Filter(states=(OK,)),
        Filter(label="paper"),
        Filter(search=("train",)),
    ):
        assert (await store.page(View("anna"), wanted)).jobs == []
    # Managers and operators still see them, and their lists are told of the change.
    for view in (View("mara", frozenset({"flavour"})), View("oscar", everything=True)):
        seen = (await store.page(view, Filter(since=before))).jobs
        assert {job.id for job in seen} == set(mine)
    # What was used counts for who used it.
    used = await store.usage(
        View("oscar", everything=True), START.replace(year=2025), START.replace(year=2027)
    )
    assert "anna" not in {entry.user for entry in used}
    # The next person's own jobs are apart, with the same key too.
    new = await keep(store, "anna", OK, key="k")
    assert [job.id for job in (await store.page(View("anna"), Filter())).jobs] == [new]


async def test_no_table_still_has_the_released_name(store: JobStore) -> None:
    job = await keep(store, "anna", OK, description={"labels": ["paper"]})
    await store.cancelling(await keep(store, "bruno", R), "anna")
    await people.release(store, "anna", AS, dry_run=False)
    async with store.reading() as connection:
        for table in metadata.sorted_tables:
            for column in table.columns:
                if isinstance(column.type, sa.String) and not isinstance(column.type, sa.Text):
                    found = await connection.execute(sa.select(sa.func.count()).where(column == "anna"))
                    assert found.scalar_one() == 0, column
    assert (await store.get(job)).owner == AS


@pytest.mark.parametrize("state", [Q, S, R])
@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_job_that_is_not_over_refuses_the_release_and_nothing_changes(
    store: JobStore, state: JobState, dry_run: bool
) -> None:
    job = await keep(store, "anna", state)
    await keep(store, "anna", OK)
    with pytest.raises(Refusal) as refused:
        await people.release(store, "anna", AS, dry_run=dry_run)
    assert refused.value.reason is Reason.CONFLICT
    assert refused.value.message == "anna has 1 job that is not over."
    assert (await store.get(job)).owner == "anna"


@pytest.mark.parametrize("other", ["bruno", "anna2", "anna", "bruno/x"])
async def test_jobs_are_given_to_no_name_that_somebody_can_have(store: JobStore, other: str) -> None:
    with pytest.raises(Refusal):
        await people.release(store, "anna", other, dry_run=False)
