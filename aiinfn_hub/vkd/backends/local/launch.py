"""Start the process of an attempt, and explain why it cannot be started."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiinfn_hub.contract.states import Cause, JobState
from aiinfn_hub.host.accounts import (
    Account,
    AccountError,
    Accounts,
    home_folder,
)
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.platform.slugs import slug
from aiinfn_hub.storage import local_mounts
from aiinfn_hub.vkd.backends.common.attempt_files import FULL
from aiinfn_hub.vkd.backends.common.exit_outcome import Outcome, stopped

from .attempt import Attempt
from .environment import attempt_spec

_log = logging.getLogger(__name__)
_TEMPORARY: Final = FULL | {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_ROOM: Final = 2**20
"""Bytes below which a disk is taken for full."""
NO_ROOM: Final = Message("again.disk_full")
"""The message of an attempt that a full disk kept from starting."""


@dataclass(frozen=True, slots=True)
class LaunchSettings:
    """How jobs are run.

    Attributes
    ----------
    data
        The data folder, where homes are if there are no accounts.
    accounts
        Who runs as whom; None: all as this process.
    command
        What runs in a job instead of the runner.
    log_limit
        Bytes of an attempt's log that are kept.
    platform
        Returns the platform in force, for its storage.
    """

    data: Path
    accounts: Accounts | None
    command: Sequence[str] | None
    log_limit: int
    platform: Callable[[], Platform]


class Launcher:
    """Starts attempts."""

    def __init__(self, settings: LaunchSettings) -> None:
        self._settings = settings

    async def launch(self, run: Attempt) -> Outcome | None:
        """Start an attempt's process and wait until the job is up.

        Returns
        -------
        Outcome or None
            How it ended already, if it could not be started or was stopped before.
        """
        job, settings = run.job, self._settings
        try:
            account = await asyncio.to_thread(self._account, job.selection)
            spec = attempt_spec(
                job,
                run.attempt,
                account,
                run.devices,
                folder=run.folder.path,
                command=settings.command,
                grace=run.grace,
                log_limit=settings.log_limit,
            )
            await asyncio.to_thread(run.folder.prepare, spec)
            if run.intent is not None:
                return stopped(run.intent, job.selection)
            await run.spawn()
        except AccountError as error:
            return Outcome(JobState.FAILED, Cause.START_FAILED, error.told)
        except OSError as error:
            return could_not_start(error.errno, error.strerror)
        return None

    def _account(self, selection: Selection) -> Account:
        """Return the account under which a job runs, with the storage in its home."""
        account = self._account_of(selection.person)
        local_mounts.link(account, selection, self._settings.platform(), self._settings.data)
        return account

    def _account_of(self, person: str) -> Account:
        if self._settings.accounts is not None:
            return self._settings.accounts.get(person)
        home = home_folder(self._settings.data / "homes", person)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Account(name=person, slug=slug(person), uid=None, gid=None, home=home)

    def has_room(self) -> bool:
        """Return whether the disk of the data folder has room for an attempt's files."""
        disk = os.statvfs(self._settings.data)
        return disk.f_bavail * disk.f_frsize >= _ROOM

    def never_began(self) -> Outcome:
        """Judge an attempt whose supervisor left no word at all: it cannot write, or is broken."""
        if not self.has_room():
            return could_not_start(errno.ENOSPC, None)
        return Outcome(JobState.FAILED, Cause.START_FAILED, Message("failed.start.supervisor"))


def could_not_start(number: int | None, text: str | None) -> Outcome:
    """Judge an attempt that could not be started: it waits again if that will pass."""
    if number not in _TEMPORARY:
        message = Message("failed.start", why=text) if text else Message("failed.start.unknown")
        return Outcome(JobState.FAILED, Cause.START_FAILED, message)
    message = NO_ROOM if number in FULL else Message("again.overloaded")
    _log.warning("Jobs cannot be started: %s", message)
    return Outcome(JobState.QUEUED, Cause.START_FAILED, message)
