"""The store's schema: migrations and models say the same, and an old or a strange database is treated well."""

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from aiinfn_hub.vkd.database import migrations
from aiinfn_hub.vkd.database.engine import Database
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.database.migrations import SchemaError
from aiinfn_hub.vkd.database.tables import metadata


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'vkd' / 'vkd.sqlite'}"


async def test_an_empty_folder_becomes_a_database_with_the_tables_of_the_models(tmp_path: Path) -> None:
    database = await Database.open(url(tmp_path))

    def compare(connection: Any) -> Any:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return compare_metadata(context, metadata)

    async with database.read() as connection:
        assert await connection.run_sync(compare) == []
    await database.close()


async def test_the_newest_migration_is_the_head_that_vkd_looks_for() -> None:
    config = Config()
    config.set_main_option("script_location", migrations.__path__[0])
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


async def test_opening_a_database_again_keeps_what_is_in_it(tmp_path: Path) -> None:
    first = await Database.open(url(tmp_path))
    async with first.write() as connection:
        await connection.execute(sa.text("UPDATE counters SET value = 41"))
    await first.close()
    store = await JobStore.open(url(tmp_path))
    assert store.change == 41
    await store.close()


async def test_a_database_of_a_newer_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    await (await Database.open(url(tmp_path))).close()
    with sqlite3.connect(tmp_path / "vkd" / "vkd.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(SchemaError, match="9999, which this version does not know"):
        await Database.open(url(tmp_path))


async def test_a_migration_that_breaks_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiinfn_hub.vkd.database import engine as module

    whole = migrations.upgrade

    def breaks(connection: Any) -> None:
        whole(connection)
        raise RuntimeError("killed")

    monkeypatch.setattr(module.migrations, "upgrade", breaks)  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="killed"):
        await Database.open(url(tmp_path))
    with sqlite3.connect(tmp_path / "vkd" / "vkd.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


async def test_what_is_answered_is_on_the_disk_and_the_folder_is_private(tmp_path: Path) -> None:
    database = await Database.open(url(tmp_path))
    async with database.read() as connection:
        pragma = {
            name: (await connection.execute(sa.text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    await database.close()
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    assert stat.S_IMODE((tmp_path / "vkd").stat().st_mode) == 0o700
