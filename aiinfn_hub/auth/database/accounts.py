"""The table of accounts, and all SQL about it: on SQLite or PostgreSQL, synchronous. `bindings` is what the hub uses.

Everything that decides whose an account is happens in one transaction, and the database itself lets a person have one account
only.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from aiinfn_hub.platform.characters import compared

from . import migrations
from .tables import accounts


class StoreError(Exception):
    """The table cannot be read or written now; the message holds no value of it."""


class TakenError(Exception):
    """An account is somebody else's.

    Parameters
    ----------
    account
        The one that is in the way; its name may be another spelling.
    """

    def __init__(self, account: BoundAccount) -> None:
        super().__init__(account.name)
        self.account = account


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody, as an identity provider tells people apart.

    Attributes
    ----------
    issuer
        Without a slash at its end, which providers write or leave out as they please.
    subject
        The claim ``sub``.
    """

    issuer: str
    subject: str

    @classmethod
    def of(cls, issuer: str, subject: str) -> Self:
        """Make an identity from claims."""
        return cls(issuer.rstrip("/"), subject)


@dataclass(frozen=True, slots=True)
class BoundAccount:
    """A user name of the hub, and whose it is.

    Attributes
    ----------
    identity
        None: nobody's yet; the next who signs in under the name becomes the owner.
    bound
        When it became that person's.
    """

    name: str
    identity: Identity | None = None
    bound: datetime | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What a move of identities to another issuer changes, or would change.

    Attributes
    ----------
    changes
        By name: the identity before and after.
    unmapped
        Names of the old issuer's accounts that the mapping does not mention; they stay as they are.
    """

    changes: Mapping[str, tuple[Identity, Identity]]
    unmapped: tuple[str, ...] = ()


class AccountStore:
    """The table.

    Parameters
    ----------
    url
        SQLAlchemy's, with a synchronous driver, as JupyterHub's own ``db_url``.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: sa.Engine | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Connect, and bring the schema up to date; what comes first does it otherwise.

        Raises
        ------
        StoreError, migrations.SchemaError
        """
        with self._transaction():
            pass

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def all(self) -> list[BoundAccount]:
        """Return all accounts by name."""
        with self._transaction() as connection:
            return [
                _account(row) for row in connection.execute(sa.select(accounts).order_by(accounts.c.name))
            ]

    def get(self, name: str) -> BoundAccount | None:
        """Return an account by its exact name."""
        with self._transaction() as connection:
            return _get(connection, name)

    def account_for(self, name: str, identity: Identity) -> BoundAccount:
        """Return the account that somebody gets who signs in under a name; nothing is changed.

        It is the person's own, whatever the identity provider calls them today, unless that is somebody else's name. If they
        have none, it is that of the name, which is nobody's yet or does not exist.

        Raises
        ------
        TakenError
            If the account of the name, or of one that is taken for it, is somebody else's.
        """
        with self._transaction() as connection:
            return _account_for(connection, name, identity)

    def bind(self, name: str, identity: Identity) -> BoundAccount:
        """Make an account a person's for good, if it is not yet; returns the person's account.

        Raises
        ------
        TakenError
            See `account_for`.
        """
        with self._transaction(write=True) as connection:
            account = _account_for(connection, name, identity)
            if account.identity is not None:
                return account
            values = {"issuer": identity.issuer, "subject": identity.subject, "bound": time.time()}
            if _get(connection, account.name) is None:
                values |= {"name": account.name, "compared": compared(account.name)}
                connection.execute(sa.insert(accounts).values(values))
            else:
                connection.execute(
                    sa.update(accounts)
                    .where(accounts.c.name == account.name, accounts.c.issuer.is_(None))
                    .values(values)
                )
            bound = _get(connection, account.name)
        if bound is None or bound.identity != identity:  # two hubs on one table, at the same moment
            raise TakenError(bound or account)
        return bound

    def register(self, name: str) -> None:
        """Note that an account exists, if it is not known; it is nobody's yet."""
        with self._transaction(write=True) as connection:
            if _get(connection, name) is None:
                connection.execute(sa.insert(accounts).values(name=name, compared=compared(name)))

    def release(self, name: str) -> bool:
        """Forget whose an account was; returns whether it was known."""
        with self._transaction(write=True) as connection:
            return bool(connection.execute(sa.delete(accounts).where(accounts.c.name == name)).rowcount)

    def move(
        self, old: str, new: str, subjects: Mapping[str, str] | None = None, *, dry_run: bool = False
    ) -> Move:
        """Let the accounts of one issuer be those of another one: all or nothing.

        Parameters
        ----------
        subjects
            The new subject of each old one; None if they stay.
        dry_run
            Whether to say only what would change.

        Raises
        ------
        ValueError
            If two accounts would become the same person's.
        """
        with self._transaction(write=not dry_run) as connection:
            rows = connection.execute(sa.select(accounts).order_by(accounts.c.name)).all()
            known = [_account(row) for row in rows]
            changes: dict[str, tuple[Identity, Identity]] = {}
            unmapped: list[str] = []
            for account in known:
                before = account.identity
                if before is None or before.issuer != old.rstrip("/"):
                    continue
                subject = before.subject if subjects is None else subjects.get(before.subject)
                if subject is None:
                    unmapped.append(account.name)
                else:
                    changes[account.name] = before, Identity.of(new, subject)
            after: dict[Identity, str] = {}
            for account in known:
                identity = changes[account.name][1] if account.name in changes else account.identity
                if identity is None:
                    continue
                if other := after.get(identity):
                    raise ValueError(
                        f"{other} and {account.name} would become the same person's (sub {identity.subject})"
                    )
                after[identity] = account.name
            if not dry_run and changes:
                # In two steps: the new subjects may be a permutation of the old ones.
                connection.execute(
                    sa.update(accounts)
                    .where(accounts.c.name == sa.bindparam("of"))
                    .values(issuer=None, subject=None),
                    [{"of": name} for name in changes],
                )
                connection.execute(
                    sa.update(accounts)
                    .where(accounts.c.name == sa.bindparam("of"))
                    .values(issuer=sa.bindparam("to_issuer"), subject=sa.bindparam("to_subject")),
                    [
                        {"of": name, "to_issuer": to.issuer, "to_subject": to.subject}
                        for name, (_before, to) in changes.items()
                    ],
                )
        return Move(changes, tuple(unmapped))

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        try:
            with self._opening:
                if self._engine is None:
                    self._engine = _open(self.url)
            engine = self._engine.execution_options(aiinfn_write=write)
            with engine.begin() as connection:
                yield connection
        except (
            SQLAlchemyError,
            ImportError,
            OSError,
        ) as error:  # ImportError: a driver that is not installed
            raise StoreError(
                f"the table of accounts does not answer ({type(error).__name__}: {_cause(error)})"
            ) from error


def _open(url: str) -> sa.Engine:
    address = sa.make_url(url)
    lite = address.get_backend_name() == "sqlite"
    if lite and address.database and address.database != ":memory:":
        path = Path(address.database)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    # hide_parameters: whose an account is gets into no log by way of an error's text.
    engine = sa.create_engine(address, hide_parameters=True)
    if lite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    try:
        with engine.execution_options(aiinfn_write=True).begin() as connection:
            migrations.upgrade(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _account_for(connection: sa.Connection, name: str, identity: Identity) -> BoundAccount:
    own = connection.execute(
        sa.select(accounts).where(
            accounts.c.issuer == identity.issuer, accounts.c.subject == identity.subject
        )
    ).first()
    account = _get(connection, name)
    if account is None:
        rows = connection.execute(
            sa.select(accounts).where(accounts.c.compared == compared(name)).order_by(accounts.c.name)
        )
        alike = [each for each in map(_account, rows) if each.identity != identity]
        in_the_way = [each for each in alike if own is None or each.identity is not None]
        if in_the_way:
            raise TakenError(in_the_way[0])
    elif account.identity not in {None, identity}:
        raise TakenError(account)
    if own is not None:
        return _account(own)
    return account or BoundAccount(name)


def _get(connection: sa.Connection, name: str) -> BoundAccount | None:
    row = connection.execute(sa.select(accounts).where(accounts.c.name == name)).first()
    return None if row is None else _account(row)


def _account(row: Any) -> BoundAccount:
    if row.issuer is None:
        return BoundAccount(row.name)
    return BoundAccount(
        row.name, Identity(row.issuer, row.subject), datetime.fromtimestamp(row.bound or 0, UTC)
    )


def _cause(error: Exception) -> str:
    """Return what is wrong, of an error of the database its own words only: SQLAlchemy's may hold the statement."""
    if isinstance(error, SQLAlchemyError):
        return str(getattr(error, "orig", None) or "see its URL").splitlines()[0][:200]
    return str(error)[:200]


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Python's own implicit BEGIN comes too late, and never before a SELECT; `_begin_sqlite` says it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("aiinfn_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
