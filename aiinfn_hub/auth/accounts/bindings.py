"""Whose an account is, as the hub asks it: without blocking, and with a line in the log for operators."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from aiinfn_hub.auth.database.accounts import (
    AccountStore,
    BoundAccount,
    Identity,
    StoreError,
    TakenError,
)
from aiinfn_hub.auth.database.migrations import SchemaError
from aiinfn_hub.web.full_disk import DiskFullError

from .problems import AccountsUnavailableError

T = TypeVar("T")


class Bindings:
    """The accounts of the hub, each bound to one person.

    Parameters
    ----------
    url
        See `store.AccountStore`.

    Attributes
    ----------
    releasing
        Names of accounts that are being released; nobody signs in under them.
    """

    def __init__(self, url: str, log: logging.Logger) -> None:
        self._store = AccountStore(url)
        self._log = log
        self._lock = asyncio.Lock()
        self._known: set[str] | None = None
        self.releasing: set[str] = set()

    async def account_for(self, name: str, identity: Identity) -> BoundAccount:
        """Return the account that somebody gets; see `AccountStore.account_for`.

        Raises
        ------
        TakenError
            It was logged.
        AccountsUnavailableError
            If the table does not answer.
        """
        try:
            account = await self._run(lambda: self._store.account_for(name, identity))
        except TakenError as error:
            self.refused(name, identity, error.account)
            raise
        if account.name != name:
            self._log.info("%s is called %r by IAM now, and keeps the account", account.name, name)
        return account

    async def bind(self, name: str, identity: Identity) -> None:
        """Make an account a person's, if it is not yet; raises as `account_for`."""
        if name in self.releasing:
            return
        try:
            before = await self._run(lambda: self._store.account_for(name, identity))
            if before.identity is None:
                await self._run(lambda: self._store.bind(name, identity))
                self._log.info(
                    "The account %s belongs to sub=%r of %s from now on",
                    name,
                    identity.subject,
                    identity.issuer,
                )
        except TakenError as error:
            self.refused(name, identity, error.account)
            raise
        if self._known is not None:
            self._known.add(name)

    async def register(self, name: str) -> None:
        """Note that the hub has an account; whose it is shows at the next sign-in. A table that is away is logged."""
        try:
            if self._known is None:
                self._known = {account.name for account in await self._run(self._store.all)}
            if name not in self._known:
                await self._run(lambda: self._store.register(name))
                self._known.add(name)
        except AccountsUnavailableError:
            self._log.warning("The account %s could not be noted; its next sign-in does it", name)

    async def get(self, name: str) -> BoundAccount | None:
        """Return an account, or None."""
        return await self._run(lambda: self._store.get(name))

    async def release(self, name: str) -> None:
        """Forget whose an account was."""
        await self._run(lambda: self._store.release(name))
        if self._known is not None:
            self._known.discard(name)

    def refused(self, name: str, identity: Identity, account: BoundAccount) -> None:
        """Log that somebody came under a name whose account is another person's."""
        owner = account.identity
        self._log.warning(
            "Sign-in refused: IAM calls sub=%r of %s %r, and the account %s belongs to %s. "
            "`aiinfn-hub accounts release` gives a name free, `accounts move` is for a provider with a new issuer.",
            identity.subject,
            identity.issuer,
            name,
            account.name,
            f"sub={owner.subject!r} of {owner.issuer}" if owner else "whoever signed in to it before",
        )

    async def _run(self, ask: Callable[[], T]) -> T:
        # One at a time: what two sign-ins under one name decide must not cross.
        async with self._lock:
            try:
                return await asyncio.to_thread(ask)
            except (StoreError, SchemaError) as error:
                self._log.error("Accounts cannot be looked up: %s", error)
                full = isinstance(error.__cause__, DiskFullError)
                raise AccountsUnavailableError(str(error), full=full) from None
