"""The connection to the database: its settings, its two kinds of transaction, its errors in words."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import json
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _

from . import migrations

# It would write every statement with its values.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

_READERS: Final = 4
"""Reads that go on at a time."""
T = TypeVar("T")

_FULL = ("database or disk is full", "no space left on device", "disk quota exceeded")
_BUSY = ("database is locked", "database table is locked")


def storage_full() -> Refusal:
    """Return the refusal for a full disk."""
    return Refusal(
        Reason.STORAGE_FULL,
        _("The platform's disk is full; nothing was changed."),
        _("Tell the operators, and try again when there is room."),
    )


def refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal that an error of the database or of a file amounts to; None if it is a fault of ours."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return storage_full()
    busy = isinstance(error, PoolTimeout)
    if isinstance(error, DBAPIError):
        text = str(error.orig).lower()
        if any(phrase in text for phrase in _FULL):
            return storage_full()
        busy = error.connection_invalidated or any(phrase in text for phrase in _BUSY)
    if busy:
        return Refusal(
            Reason.UNAVAILABLE, _("The job database does not answer now."), _("Try again in a moment.")
        )
    return None


class Database:
    """An engine and the lock of its only writer.

    SQLite: a write-ahead log, so that reading never waits for writing, with ``synchronous=FULL``: a job that was
    answered with 201 is on the disk, even if the power fails then. (NORMAL could lose the last transactions.) That costs
    one fsync for each change of a job, a few milliseconds. PostgreSQL does as much by default.
    """

    def __init__(self, engine: AsyncEngine, reader: sa.Engine | None = None) -> None:
        self.engine = engine
        self._writer = engine.execution_options(aiinfn_write=True)
        self._lock = asyncio.Lock()
        self._reader = reader
        self._threads = ThreadPoolExecutor(_READERS, "vkd-read") if reader else None

    @classmethod
    async def open(cls, url: str) -> Database:
        """Connect, and bring the schema up to date.

        Raises
        ------
        migrations.SchemaError
            If a newer version wrote the database.
        """
        address = sa.make_url(url)
        lite = address.get_backend_name() == "sqlite"
        if lite and address.database:
            await asyncio.to_thread(
                Path(address.database).parent.mkdir, mode=0o700, parents=True, exist_ok=True
            )
        # hide_parameters: what people submit does not get into logs by way of an error's text.
        engine = create_async_engine(
            address, hide_parameters=True, pool_size=4, max_overflow=4, json_deserializer=_read_json
        )
        reader = None
        if lite:
            _set_up_sqlite(engine.sync_engine)
            reader = sa.create_engine(
                address.set(drivername="sqlite+pysqlite"),
                hide_parameters=True,
                pool_size=_READERS,
                max_overflow=0,
                json_deserializer=_read_json,
            )
            _set_up_sqlite(reader)
            sa.event.listen(reader, "connect", _only_read)
        database = cls(engine, reader)
        try:
            async with database.write() as connection:
                await connection.run_sync(migrations.upgrade)
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Close all connections."""
        if self._reader is not None and self._threads is not None:
            await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
            self._reader.dispose()
        await self.engine.dispose()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that changes something; one at a time.

        Raises
        ------
        Refusal
            If the disk is full, or the database does not answer.
        """
        async with self._lock:
            try:
                async with self._writer.begin() as connection:
                    yield connection
            except DBAPIError as error:
                if refusal := refusal_of(error):
                    raise refusal from error
                raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that reads: all of it sees one moment."""
        try:
            async with self.engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            if refusal := refusal_of(error):
                raise refusal from error
            raise

    async def query(self, look: Callable[[sa.Connection], T]) -> T:
        """Run a function that reads, in a transaction: all of it sees one moment.

        The driver for SQLite goes to a thread and back for each step of each statement, five for one SELECT, which takes
        longer than the statements do. Here all of it is one trip.

        Parameters
        ----------
        look
            Called in a thread where the database is SQLite; it must change nothing.
        """
        try:
            if self._reader is None:
                async with self.engine.connect() as connection:
                    return await connection.run_sync(look)
            context = contextvars.copy_context()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, context.run, _look, self._reader, look)
        except DBAPIError as error:
            if refusal := refusal_of(error):
                raise refusal from error
            raise


def _look(reader: sa.Engine, look: Callable[[sa.Connection], T]) -> T:
    with reader.connect() as connection:
        return look(connection)


def _read_json(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        # Half a surrogate pair, which an older version let in. Whoever shows it replaces it.
        return json.loads(text)


def _set_up_sqlite(engine: sa.Engine) -> None:
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Python's own implicit BEGIN comes too late, and never before a SELECT; `_begin_sqlite` says it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "busy_timeout=5000",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-2000",
        "journal_size_limit=16777216",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _only_read(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA query_only=ON").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # IMMEDIATE: a writer that starts by reading would otherwise fail, and not wait, when another process writes.
    write = connection.get_execution_options().get("aiinfn_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
