"""What the database keeps of messages, and what becomes of the sentences of an older one."""

import json
import sqlite3
from pathlib import Path

from aiinfn_hub.i18n.message_catalogue import CATALOGUE
from aiinfn_hub.i18n.messages import Message, render
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.database.migrations.versions import v0007_messages as migration
from aiinfn_hub.vkd.domain.backend import StartupEvent
from aiinfn_hub.vkd.domain.records import Notes
from tests.vkd.jobs import START, Q, R, S, a_job, told, undo_description


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'vkd.sqlite'}"


def kept(folder: Path) -> list[str]:
    """Give all that the database keeps as messages."""
    with sqlite3.connect(folder / "vkd.sqlite") as connection:
        rows = [
            text
            for table in ("jobs", "history", "startup")
            for (text,) in connection.execute(f"SELECT message FROM {table}")
        ]
    connection.close()
    return rows


async def filled(folder: Path) -> tuple[JobStore, str]:
    store = await JobStore.open(url(folder))
    job = await store.insert(a_job())
    again = await store.insert(a_job())
    await store.apply(told(job.id, S, message=Message("history.starting.on", place="n1")))
    await store.note(
        Notes(startup={(job.id, 1): [StartupEvent(START, Message("pod.on_node", node="n1"))] * 2})
    )
    await store.apply(told(job.id, R, message=Message("history.running")))
    await store.apply(told(job.id, Q, message=Message("again.gave", devices="2 x T4", at=START)))
    await store.cancelling(again.id, "mara")
    return store, job.id


async def test_codes_and_facts_are_kept_and_no_sentence(tmp_path: Path) -> None:
    store, _job = await filled(tmp_path)
    await store.close()
    found = [json.loads(text) for text in kept(tmp_path)]
    assert {each["code"] for each in found} == {
        "history.submitted",
        "history.starting.on",
        "history.running",
        "again.gave",
        "pod.on_node",
    }
    assert {"code": "again.gave", "facts": {"devices": "2 x T4", "at": "2026-11-23T12:00:00+00:00"}} in found


async def test_what_is_kept_is_read_in_any_language(tmp_path: Path) -> None:
    store, job = await filled(tmp_path)
    rows = await store.events(job)
    await store.close()
    assert [render(row.message, "it") for row in rows] == [
        "Inviato a opportunistic",
        "In avvio su n1.",
        "In esecuzione.",
        "Ha ceduto 2 x T4 a una sessione alle 12:00 UTC; di nuovo in attesa.",
    ]
    assert [render(event.message, "it") for event in rows[1].startup] == ["Su n1."]


SENTENCES = [
    ("Submitted to opportunistic", "history.submitted"),
    ("Submitted to opportunistic again, as abc was", "history.submitted.again"),
    ("Starting on 2 x NVIDIA T4.", "history.starting.on"),
    ("Starting on node-3 with 2 x NVIDIA T4.", "history.starting.on_with"),
    ("Starting with NVIDIA T4.", "history.starting.with"),
    ("Running.", "history.running"),
    ("Finished.", "history.finished"),
    ("Cancelled by mara.", "history.cancelled.by"),
    ("Failed: its process ended with exit code 3.", "failed.exit_code"),
    ("Failed: its process was ended by SIGKILL.", "failed.signal"),
    ("Failed in cell 3: ValueError: no data", "failed.cell"),
    ("Its node is gone; waiting again.", "again.node_gone"),
    ("On node-3.", "pod.on_node"),
    ("“PyTorch” is on this node already.", "pod.image_there"),
    ("Starting with “PyTorch”.", "pod.starting"),
    ("Gave its NVIDIA T4 to a session at 14:05 CET; waiting again.", "text"),
    ("Failed: ValueError: no data", "text"),
    ('{"code": "no message"}', "text"),
    ("", "nothing"),
]


async def test_the_sentences_of_an_older_database_become_messages(tmp_path: Path) -> None:
    store = await JobStore.open(url(tmp_path))
    job = await store.insert(a_job())
    await store.close()
    path = tmp_path / "vkd.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM history")
        connection.execute("UPDATE jobs SET message = 'Cancelled while it waited.'")
        connection.executemany(
            "INSERT INTO history (job, time, state, cause, attempt, message) VALUES (?, ?, 'queued', 'lost', 1, ?)",
            [(job.id, "2026-01-01 00:00:00.000000", text) for text, _ in SENTENCES * 150],
        )
        connection.execute(
            "INSERT INTO startup (job, attempt, time, message) VALUES (?, 1, '2026-01-01 00:00:00.000000', 'On n.')",
            [job.id],
        )
        undo_description(connection)
        connection.execute("UPDATE alembic_version SET version_num = '0006'")
    connection.close()
    store = await JobStore.open(url(tmp_path))
    rows = await store.events(job.id)
    stored = await store.get(job.id)
    await store.close()
    assert [row.message.code for row in rows] == [code for _, code in SENTENCES * 150]
    assert [str(row.message) for row in rows] == [text for text, _ in SENTENCES * 150]
    assert stored.message == Message("history.cancelled.waiting")
    assert Message("pod.on_node", node="n").as_text() in kept(tmp_path)


def test_a_message_that_was_made_before_stays() -> None:
    once = migration.message_of("On n.")
    assert migration.message_of(once) == once


def test_the_migration_says_what_the_table_of_messages_says() -> None:
    for sentence, code in migration._EXACT.items():
        assert CATALOGUE[code].facts == {}, code
        text = CATALOGUE[code].text
        assert text.replace(", for", ": for") == sentence.replace(", for", ": for")
    for code, pattern in migration._PATTERNS:
        assert set(pattern.groupindex) == set(CATALOGUE[code].facts)
