"""Lists of jobs: the fast way gives what the plain way would, and stays fast."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from aiinfn_hub.contract.states import FINAL
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.database.pagination import _branches, _order
from aiinfn_hub.vkd.database.tables import jobs
from aiinfn_hub.vkd.domain.records import Filter, Notes, Page, View
from tests.vkd.jobs import BAD, OFF, OK, PATHS, START, Q, R, S, a_job, told

VIEWS = [
    View("anna"),
    View("mara", frozenset({"flavour"})),
    View("anna", frozenset({"flavour", "medical"})),
    View("oscar", everything=True),
    View("nobody"),
]
# A set is written in another order by each process, and all processes must name a test alike.
IDS = ["anna", "mara, a manager", "anna, a manager of two", "oscar, an operator", "nobody"]
FILTERS = [
    {},
    {"states": (OK,)},
    {"states": (Q, S, R)},
    {"states": (BAD, OFF), "project": "medical"},
    {"project": "flavour"},
    {"owner": "anna"},
    {"owner": "bruno", "states": (OK, Q)},
    {"owner": "anna", "project": "medical"},
    {"since": 0},
    {"since": 60},
    {"since": 60, "states": (OK, R), "project": "flavour"},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[JobStore]:
    store = await JobStore.open(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('store') / 'vkd.sqlite'}")
    dice = random.Random(7)
    new = [
        a_job(
            dice.choice(["anna", "bruno", "carla"]),
            dice.choice(["flavour", "medical"]),
            created=START + timedelta(seconds=i),
        )
        for i in range(80)
    ]
    steps = [[told(job.id, state) for state in PATHS[dice.choice(list(PATHS))]] for job in new]
    updates = []
    while any(steps):
        chosen = dice.choice([step for step in steps if step])
        updates.append(chosen.pop(0))
    await store.seed(new, updates)
    yield store
    await store.close()


async def everything(store: JobStore) -> list[dict[str, Any]]:
    async with store._database.read() as connection:
        rows = (await connection.execute(sa.select(jobs))).mappings().all()
    return [dict(row) for row in rows]


async def walk(store: JobStore, view: View, **wanted: Any) -> tuple[Any, Page]:
    """Read all pages, as a client does."""
    found, after = [], None
    while True:
        page = await store.page(view, Filter(**wanted, after=after, limit=7))
        found += page.jobs
        if not page.more:
            return found, page
        assert len(page.jobs) == 7
        last = page.jobs[-1]
        after = (last.change if "since" in wanted else 0, last.number)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("view", VIEWS, ids=IDS)
@pytest.mark.parametrize("wanted", FILTERS, ids=str)
async def test_pages_give_every_job_once_and_in_order(
    filled: JobStore, view: View, wanted: dict[str, Any]
) -> None:
    def sees(row: Any) -> Any:
        return view.everything or row["owner"] == view.person or row["project"] in view.projects

    def chosen(row: Any) -> Any:
        return all(
            (
                "states" not in wanted or row["state"] in wanted["states"],
                "project" not in wanted or row["project"] == wanted["project"],
                "owner" not in wanted or row["owner"] == wanted["owner"],
                row["change"] > wanted.get("since", -1),
            )
        )

    order = (lambda row: (row["change"], row["number"])) if "since" in wanted else (lambda row: row["number"])
    rows = [row for row in await everything(filled) if sees(row)]
    plain = sorted((row for row in rows if chosen(row)), key=order, reverse=True)
    found, page = await walk(filled, view, **wanted)
    assert [job.id for job in found] == [row["id"] for row in plain]
    assert page.through == filled.change
    asked = [
        row
        for row in rows
        if row["project"] == wanted.get("project", row["project"])
        and row["owner"] == wanted.get("owner", row["owner"])
    ]
    assert page.active == sum(row["state"] not in FINAL for row in asked)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("view", VIEWS[:4], ids=IDS[:4])
@pytest.mark.parametrize("wanted", [{}, {"states": (BAD, OK)}, {"since": 5}, {"project": "flavour"}], ids=str)
async def test_no_list_scans_the_history_or_sorts_it(filled: JobStore, view: View, wanted: Any) -> None:
    wanted = Filter(**wanted)
    async with filled._database.read() as connection:
        for conditions in _branches(view, wanted):
            statement = sa.select(jobs).where(*conditions).order_by(*_order(wanted)).limit(26)
            text = statement.compile(
                filled._database.engine.sync_engine, compile_kwargs={"literal_binds": True}
            )
            plan = (await connection.execute(sa.text(f"EXPLAIN QUERY PLAN {text}"))).all()
            steps = " ".join(str(row[3]) for row in plan)
            assert "USING INDEX" in steps, steps
            # Sorting the few rows of one change number is fine; the list itself comes sorted out of the index.
            assert "USE TEMP B-TREE FOR ORDER BY" not in steps, steps


@pytest.mark.asyncio(loop_scope="module")
async def test_a_changed_place_in_the_queue_is_a_change(filled: JobStore) -> None:
    before = filled.change
    waiting = next(row["id"] for row in await everything(filled) if row["state"] == Q)
    await filled.note(Notes(moved={waiting}))
    page = await filled.page(View("oscar", everything=True), Filter(since=before))
    assert [job.id for job in page.jobs] == [waiting]
    assert (await filled.page(View("oscar", everything=True), Filter(since=page.through))).jobs == []
