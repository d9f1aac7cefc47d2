"""Finding jobs in the history: by words and labels, as a plain look at every job would, and at a bounded cost."""

import asyncio
import random
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiinfn_hub.contract.runner import JobError
from aiinfn_hub.vkd.database import job_search
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.database.tables import jobs, labelled, texts
from aiinfn_hub.vkd.database.visibility import parts
from aiinfn_hub.vkd.domain import text_folding
from aiinfn_hub.vkd.domain.records import Filter, View
from tests.vkd.jobs import BAD, OFF, OK, PATHS, START, R, a_job, told

NAMES = ["Train CIFAR10", "fit perché", "scan_lr 50%", "a\\b", "digits"]
LABELS = ["paper-2026", "trial", "città"]
ANNA, MARA, OSCAR = View("anna"), View("mara", frozenset({"flavour"})), View("oscar", everything=True)


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("  Train   CIFAR10 ", "train cifar10"),
        ("Perché", "perche"),
        ("STRASSE straße", "strasse strasse"),
        ("ﬁt", "fit"),
        ("\u0130stanbul", "istanbul"),
        ("\U0001d54aampling \u212bngstr\u00f6m \u00aa", "sampling angstrom a"),
        (
            "\u039f\u0394\u039f\u03a3 \u03bf\u03b4\u03bf\u03c2",
            "\u03bf\u03b4\u03bf\u03c3 \u03bf\u03b4\u03bf\u03c3",
        ),
        ("", ""),
    ],
)
def test_letter_case_accents_and_blanks_do_not_matter(typed: str, folded: str) -> None:
    assert text_folding.fold(typed) == folded


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_text_is_found_by_every_part_of_each_of_its_words(name: str, error: str) -> None:
    text = text_folding.text_of("j234567abc", name, "a/b.ipynb", ("x",), ("ValueError", error))
    assert text_folding.fold(text_folding.fold(name)) == text_folding.fold(name)
    for word in text_folding.words(name)[: text_folding.MOST_WORDS]:
        assert word in text
        assert word[1:] in text


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A history with words, labels and errors, and a way to ask its store."""
    loop = asyncio.new_event_loop()
    do = loop.run_until_complete
    store = do(JobStore.open(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('store') / 'vkd.sqlite'}"))
    dice = random.Random(11)
    new, updates = [], []
    for index in range(90):
        job = a_job(
            dice.choice(["anna", "bruno"]),
            dice.choice(["flavour", "medical"]),
            created=START + timedelta(seconds=index),
            name=dice.choice(NAMES),
            description={"labels": dice.sample(LABELS, dice.randrange(3))},
        )
        new.append(job)
        updates += [told(job.id, state) for state in PATHS[dice.choice([OK, BAD, OFF, R])]]
    do(store.seed(new, updates))
    for job in new:
        if do(store.get(job.id)).state is R and dice.random() < 0.7:
            error = JobError(name="RuntimeError", message="CUDA out of memory", cell=3)
            do(store.apply(told(job.id, BAD, error=error)))
    yield store, do
    do(store.close())
    loop.close()


async def everything(store: JobStore) -> list[dict[str, Any]]:
    async with store.reading() as connection:
        rows = (await connection.execute(sa.select(jobs).order_by(jobs.c.number.desc()))).mappings().all()
    return [dict(row) for row in rows]


def labels_of(row: Any) -> list[str]:
    labels: list[str] = (row["description"] or {}).get("labels", [])
    return labels


def plain(rows: Any, view: View, wanted: Filter) -> Iterator[Any]:
    """Look at every job, as nobody could afford with many."""
    for row in rows:
        if not (view.everything or row["owner"] == view.person or row["project"] in view.projects):
            continue
        error = row["error"] or {}
        fields = [row["id"], row["name"], row["work"]["path"], *labels_of(row)]
        fields.append(f"{error.get('name', '')} {error.get('message', '')}")
        if (
            all(any(word in text_folding.fold(field) for field in fields) for word in wanted.search)
            and (not wanted.label or wanted.label in labels_of(row))
            and (not wanted.states or row["state"] in wanted.states)
            and (not wanted.project or row["project"] == wanted.project)
            and (not wanted.owner or row["owner"] == wanted.owner)
        ):
            yield row["id"]


async def walk(store: JobStore, view: View, wanted: dict[str, Any]) -> Any:
    """Read all pages, as a client does."""
    found, after = [], None
    while True:
        page = await store.page(view, Filter(**wanted, after=after, limit=9))
        found += [job.id for job in page.jobs]
        assert len(page.jobs) <= 9
        if not page.more and page.looked_to is None:
            return found
        after = (0, page.jobs[-1].number if page.more else page.looked_to[0])  # type: ignore[index]


@pytest.mark.parametrize("view", [ANNA, MARA, OSCAR], ids=["anna", "mara, a manager", "oscar, an operator"])
@pytest.mark.parametrize("most", [7, 20_000], ids=["little at a time", "all at once"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_search_gives_what_a_look_at_every_job_would(
    filled: tuple[Any, Any], view: View, most: int, data: st.DataObject
) -> None:
    store, do = filled
    words = st.sampled_from(
        [*text_folding.words(" ".join(NAMES)), "rai", "cuda memory", "%", "_", "10", "out", "zz"]
    )
    wanted: dict[str, Any] = {
        "search": text_folding.words(" ".join(data.draw(st.lists(words, max_size=2)))),
        "label": data.draw(st.sampled_from([None, *LABELS])),
        "states": data.draw(st.sampled_from([(), (BAD,), (OK, OFF)])),
        "project": data.draw(st.sampled_from([None, "flavour"])),
        "owner": data.draw(st.sampled_from([None, "anna"])),
    }
    if not wanted["search"] and not wanted["label"]:
        wanted["label"] = "trial"
    expected = list(plain(do(everything(store)), view, Filter(**wanted)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job_search, "LOOKED_THROUGH", most)
        patch.setattr(job_search, "_MOST_FOUND", most)
        assert do(walk(store, view, wanted)) == expected


def test_something_is_found_at_all(filled: tuple[Any, Any]) -> None:
    store, do = filled
    for search in ("cifar", "CUDA memory", "perche", "50%"):
        found = do(walk(store, OSCAR, {"search": text_folding.words(search)}))
        assert 2 < len(found) < 80, search


@pytest.mark.parametrize("view", [ANNA, MARA, OSCAR], ids=["anna", "mara, a manager", "oscar, an operator"])
@pytest.mark.parametrize(
    "wanted",
    [{"search": ("cifar",)}, {"label": "trial"}, {"search": ("cifar",), "label": "trial", "states": (BAD,)}],
    ids=str,
)
def test_no_search_scans_the_jobs_or_sorts_them(filled: tuple[Any, Any], view: View, wanted: Any) -> None:
    store, do = filled
    wanted = Filter(**wanted, after=(0, 100))

    async def plans() -> list[Any]:
        found = []
        async with store.reading() as connection:
            engine = connection.engine.sync_engine
            statements = [job_search.by_number([1, 2, 3], wanted)]
            for who in parts(labelled if wanted.label else texts, view, wanted):
                statements += [job_search.bound(who, wanted, 50), job_search.matches(who, wanted, 3, 26)]
            for statement in statements:
                text = str(statement.compile(engine, compile_kwargs={"literal_binds": True}))
                rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text.replace('%', '%%')}")
                found.append([str(row[3]) for row in rows])
        return found

    for steps in do(plans()):
        assert not any("TEMP B-TREE" in step for step in steps), steps
        assert all(step.startswith("SEARCH") for step in steps), steps


def test_folding_any_character_twice_is_folding_it_once() -> None:
    changed = [
        f"U+{number:04X}"
        for number in range(sys.maxunicode + 1)
        if (once := text_folding.fold(f"a{chr(number)}b")) != text_folding.fold(once)
    ]
    assert changed == []
