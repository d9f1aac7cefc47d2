"""The platform file in force: read again whenever it changes, while everything goes on.

A change that is wrong, or that takes a restart, is not taken: the last good state stays in force as a whole, and what is
the matter is said in one sentence. The hub and vkd each keep one of these.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from aiinfn_hub.platform.model.platform import Platform

from . import loader
from .problems import PlatformError

_log = logging.getLogger(__name__)
INTERVAL: Final = 0.5
"""Seconds between two looks at the files."""
_FIXED: Final = (
    "sessions.backend",
    "label_prefix",
    "use_real_devices",
    "kubernetes.sessions_namespace",
    "kubernetes.batch_namespace",
    "kubernetes.system_namespace",
    "kubernetes.hub_connect_ip",
)
"""What is built into the running programs, and into what they made in the cluster."""

Stamp = tuple[int, int, int] | None


class PlatformFile:
    """The platform file and what it extends.

    Parameters
    ----------
    path
        The file; None for a platform that does not change.

    Attributes
    ----------
    current
        What is in force. Take it once in each request.
    problem
        Why the files as they are now are not in force; empty if they are.
    version
        A short name of its content: equal wherever the same is in force.
    """

    def __init__(
        self,
        path: Path | None,
        platform: Platform,
    ) -> None:
        self._path = path
        self._looking = threading.Lock()
        self._stamps: dict[Path, Stamp] = {}
        self._listeners: list[Callable[[Platform], None]] = []
        self._doubt = ""
        self.problem = ""
        self._take(platform)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a platform file.

        Raises
        ------
        PlatformError
            For the first thing that is wrong, in the order of the file.
        """
        # Read twice: which files there are must be known before their stamps are taken, and these before what counts.
        stamps = {file: _stamp(file) for file in loader.examine(path).files}
        examined = loader.examine(path)
        if examined.platform is None:
            raise examined.problems[0]
        opened = cls(path, examined.platform)
        opened._stamps = stamps
        return opened

    @classmethod
    def fixed(cls, platform: Platform) -> Self:
        """Return a platform that stays as it is."""
        return cls(None, platform)

    def _take(self, platform: Platform) -> None:
        self.current = platform
        self.version = hashlib.sha256(platform.model_dump_json().encode()).hexdigest()[:12]

    def listen(self, listener: Callable[[Platform], None]) -> None:
        """Have a function called with each new state, in the thread that looked."""
        self._listeners.append(listener)

    def look(self) -> bool:
        """Read the files if they changed; tell whether something new is in force. Blocks."""
        if self._path is None:
            return False
        with self._looking:
            stamps = {file: _stamp(file) for file in self._stamps}
            if stamps == self._stamps and not self._doubt:
                return False
            self._stamps = stamps
            return self._read(self._path)

    def _read(self, path: Path) -> bool:
        examined = loader.examine(path)
        # What is read for the first time is looked at once more the next time: it may have changed meanwhile.
        self._stamps = {file: self._stamps.get(file) for file in examined.files} | {
            path: self._stamps.get(path)
        }
        if examined.platform is None:
            self._refuse(examined.problems)
            return False
        if fixed := _restart(self.current, examined.platform):
            names = " and ".join(f"“{name}”" for name in fixed)
            self._tell(f"{names} was changed, which takes a restart of the hub and of vkd.")
            return False
        self.problem = self._doubt = ""
        if examined.platform == self.current:
            return False
        self._take(examined.platform)
        _log.info("platform file read again version=%s", self.version)
        for listener in self._listeners:
            listener(self.current)
        return True

    def _refuse(self, problems: list[PlatformError]) -> None:
        more = f" ({len(problems) - 1} more: run `aiinfn-hub check`.)" if len(problems) > 1 else ""
        self._tell(f"{problems[0]}.{more}")

    def _tell(self, what: str) -> None:
        if what != self._doubt:
            self._doubt = what  # the file may be half written: it is said if it is so at the next look too
            return
        self._doubt = ""
        if what != self.problem:
            _log.error("the change of the platform file is not in force: %s", what)
        self.problem = what

    def follow(self) -> threading.Thread:
        """Look again and again, in a daemon thread: file systems can hang, and no event loop must."""
        thread = threading.Thread(target=self._keep_looking, name="platform file", daemon=True)
        thread.start()
        return thread

    def _keep_looking(self) -> None:
        pause = threading.Event()
        while not pause.wait(INTERVAL):
            try:
                self.look()
            except Exception:
                _log.exception("the platform file cannot be read again")


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except (OSError, ValueError):  # a path that cannot be one
        return None
    # A mounted ConfigMap changes by a link to another file, an editor writes a new one: the inode tells.
    return found.st_mtime_ns, found.st_ino, found.st_size


def _restart(old: Platform, new: Platform) -> list[str]:
    return [key for key in _FIXED if _value(old, key) != _value(new, key)]


def _value(platform: Platform, key: str) -> Any:
    value: Any = platform
    for part in key.split("."):
        value = getattr(value, part)
    return value
