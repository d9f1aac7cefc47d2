"""The process of an app: started by the first who opens it, on a socket of its person, and ended with the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from aiinfn_hub.contract.apps import BASE_URL, SOCKET, SessionApp
from aiinfn_hub.contract.languages import ENGLISH
from aiinfn_lab.i18n.language import speaking
from aiinfn_lab.i18n.messages import Message
from aiinfn_lab.paths import private_folder

LOGS: Final = Path(".aiinfn/apps")
"""Where the output of apps is, relative to the home."""
LONGEST_SOCKET: Final = 107
"""Bytes of a Unix socket's path (sun_path in unix(7))."""
LONGEST_NAME: Final = 33
"""Bytes of the longest socket's name, with its slash."""
_TAIL: Final = 2000
_LINES: Final = 15
_STEP: Final = 0.05
_SETTLE: Final = 1.0
_AGAIN: Final = 2.0
"""Seconds for which a failed start is not tried again: a page asks for many files at once."""


class AppStartError(Exception):
    """An app does not run.

    Attributes
    ----------
    message
        Why; it becomes a sentence for each who asks.
    lines
        The last that it printed.
    """

    def __init__(self, message: Message, lines: str = "") -> None:
        super().__init__(message)
        self.message, self.lines = message, lines


def make_folder(environment: Mapping[str, str]) -> Path:
    """Make a folder of mode 0700 for the sockets of this server's apps.

    It is in the session's runtime folder, unless that is missing, open to others, or has too long a path.

    Raises
    ------
    OSError
        If there is no place for it.
    """
    for base in (environment.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp
        if not base or (base == environment.get("XDG_RUNTIME_DIR") and not _is_private(Path(base))):
            continue
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="apps-", dir=base))
            if len(os.fsencode(folder)) + LONGEST_NAME <= LONGEST_SOCKET:
                return folder
            folder.rmdir()
    raise OSError("there is no place for the sockets of apps")


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077


@dataclass
class AppProcess:
    """One app of this server.

    Parameters
    ----------
    folder
        Of `make_folder`.
    base_url
        The app's address without a slash at its end.
    home
        Where it starts, and below which its log is.
    """

    app: SessionApp
    folder: Path
    base_url: str
    home: Path
    log: logging.Logger
    environment: Mapping[str, str] = field(repr=False)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _failed: tuple[float, AppStartError] | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / self.app.name

    @property
    def output(self) -> Path:
        """What it printed since its last start."""
        return self.home / LOGS / f"{self.app.name}.log"

    def missing(self) -> str | None:
        """Return the first of its programs that is not installed; None if all are."""
        path = self.environment.get("PATH")
        programs = (self.app.command[0], *self.app.requires)
        return next((each for each in programs if shutil.which(each, path=path) is None), None)

    async def ensure(self) -> None:
        """Start it unless it runs.

        Raises
        ------
        AppStartError
            If it does not.
        """
        async with self._lock:
            if self._process is not None and self._process.returncode is None:
                return
            if self._failed and time.monotonic() - self._failed[0] < _AGAIN:
                raise self._failed[1]
            try:
                await self._start()
            except AppStartError as error:
                self._failed = time.monotonic(), error
                with speaking(ENGLISH):
                    self.log.warning("The app %s: %s", self.app.name, error.message)
                raise
            except BaseException:
                # Also a server that ends in the meantime: nobody else knows of the process.
                await self._end()
                raise
            self._failed = None

    async def _start(self) -> None:
        title = self.app.title
        if self._closed or (program := self.missing()) is not None:
            name = self.app.command[0] if self._closed else program
            raise AppStartError(Message("app.not_installed", title=title, program=name))
        await self._end()  # what is left of one that ended by itself
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        output = await asyncio.to_thread(self._open_output)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *map(self._filled, self.app.command),
                env={
                    **self.environment,
                    **{name: self._filled(value) for name, value in self.app.environment.items()},
                },
                cwd=self.home,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
            )
        except OSError as error:
            reason = error.strerror or "OSError"
            raise AppStartError(Message("app.not_started", title=title, reason=reason)) from error
        finally:
            if not isinstance(output, int):
                output.close()
        deadline = time.monotonic() + self.app.start_timeout
        while not await self._listens():
            status = self._process.returncode
            if status is None and time.monotonic() < deadline:
                await asyncio.sleep(_STEP)
                continue
            await self._end()
            lines = await asyncio.to_thread(self.last_lines)
            if status is not None:
                raise AppStartError(Message("app.ended", title=title, status=status), lines)
            seconds = self.app.start_timeout
            raise AppStartError(Message("app.silent_start", title=title, seconds=seconds), lines)
        self.log.info("The app %s listens on %s", self.app.name, self.socket)

    async def _listens(self) -> bool:
        """Return whether it answers on a socket that only its person can open."""
        try:
            found = self.socket.lstat()
            if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
                return False
            if found.st_mode & 0o777 != 0o600:
                self.socket.chmod(0o600)
            _, writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            return False
        writer.close()
        return True

    async def settle(self) -> None:
        """Wait a moment for the end of a process that does not answer any more, so that the next request starts it again."""
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _SETTLE)

    async def close(self) -> None:
        """End it, for good."""
        self._closed = True
        await self._end()
        with contextlib.suppress(OSError):
            self.socket.unlink()

    async def _end(self) -> None:
        """End it with all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        for sent, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, sent)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), seconds)
                if sent == signal.SIGTERM:
                    continue  # what it started may still be there
                return

    def last_lines(self) -> str:
        """Return the end of what it printed; blocks."""
        try:
            with self.output.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL))
                text = file.read(_TAIL).decode("utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-_LINES:]).replace("\0", "")

    def _open_output(self) -> IO[bytes] | int:
        """Open its log again, empty; a home that is full or cannot be written keeps no app from starting."""
        try:
            private_folder(self.home, str(LOGS))
            return self.output.open("wb")
        except OSError:
            return asyncio.subprocess.DEVNULL

    def _filled(self, text: str) -> str:
        """Fill in what a word of the command, or a value of the environment, leaves open."""
        return text.replace(SOCKET, str(self.socket)).replace(BASE_URL, self.base_url)
