"""Accounts of the local back end: under which uid and in which home a person's sessions and jobs run.

The hub and vkd both use this, each in its own process, so what is allocated is kept in a file behind a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiinfn_hub.i18n.language import Sentence, Text
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.slugs import slug

from .private_files import private_draft
from .uid_registry import TABLE, listed

FIRST_UID: Final = 60000
LAST_UID: Final = 64999
"""Below the 65534 of ``nobody`` and below 65536, which is where the uids of many containers end."""
_NOBODY: Final = 65534
SCRATCH: Final = "scratch"
"""Folder in the data folder that holds people's scratch space; see `aiinfn_hub.storage.local_mounts`."""


class AccountError(Exception):
    """A person cannot get an account on this machine.

    Attributes
    ----------
    told
        Why.
    """

    def __init__(self, told: Message | str) -> None:
        super().__init__(told)
        self.told = Message("text", text=told) if isinstance(told, str) else told


def _former_slug(name: str) -> str:
    """Return the slug that this back end gave before it shared `aiinfn_hub.platform.slugs` with the other one.

    The two differ only where the readable part is cut behind a hyphen.
    """
    made = slug(name)
    return made if made == name else re.sub(r"-+---(?=[0-9a-f]{8}\Z)", "---", made)


def home_folder(homes: Path, name: str) -> Path:
    """Return where a person's home is or will be; one under its former name is moved there.

    The former name stays as a link, because notebooks and settings hold absolute paths.
    """
    home, former = homes / slug(name), homes / _former_slug(name)
    if former != home and not home.exists() and former.is_dir() and not former.is_symlink():
        former.rename(home)
        former.symlink_to(home.name)
    return home


def default_data() -> Path:
    """Return the folder for what must survive a restart when ``AIINFN_DATA`` is not set.

    It is ``/var/lib/aiinfn`` for root, because a folder below ``/root`` cannot be reached by the people's own uids, and
    the XDG state folder for anybody else.
    """
    if chosen := os.environ.get("AIINFN_DATA"):
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/aiinfn")
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "aiinfn"


@dataclass(frozen=True, slots=True)
class Account:
    """Where and as whom a person's processes run.

    Attributes
    ----------
    name
        JupyterHub user name.
    uid, gid
        None: those of this process.
    home
        Absolute; it exists, with mode 0700, once `Accounts.get` returned it.
    """

    name: str
    slug: str
    uid: int | None
    gid: int | None
    home: Path

    def process_options(self) -> dict[str, Any]:
        """Return the keyword arguments for `subprocess.Popen` that make a process this person's.

        No supplementary group of this process is passed on, and what the process creates is private.
        """
        options: dict[str, Any] = {"umask": 0o077}
        if self.uid is not None:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options


class Accounts:
    """The accounts of this machine's people.

    Parameters
    ----------
    data
        The data folder (``AIINFN_DATA``); homes are in ``homes/``, allocated uids in ``accounts.json``.
    separate
        Whether each person has an own uid; None decides by trying. True raises `AccountError` where it cannot work.

    Attributes
    ----------
    data
        The data folder, absolute.
    separate
        What was decided.
    notice
        Empty if people are separated; else one sentence that says why they share a uid, to be shown to them.
    """

    def __init__(self, data: Path, separate: bool | None = None) -> None:
        self.data = self._data = data.absolute()
        self._homes = self._data / "homes"
        self._homes.mkdir(parents=True, exist_ok=True)
        obstacle: Text = ""
        if separate is not False:
            obstacle = self._obstacle()
            if separate and obstacle:
                raise AccountError(f"People cannot get a uid each: {obstacle}.")
        self.separate = separate is not False and not obstacle
        self.notice: Text = ""
        if not self.separate:
            self.notice = Sentence(
                "Everyone's sessions and jobs share one system account here, so they can read each other's files: {why}.",
                why=obstacle or Sentence("the configuration says so"),
            )
        self._homes.chmod(0o711 if self.separate else 0o700)
        if self.separate:
            self._list_known()

    def _list_known(self) -> None:
        """List what was given out before there was a list of the machine."""
        with _locked(self._data / "accounts.lock"), listed(self._data) as machine:
            machine.take(uid for uid in self._table().values() if not machine.taken(uid))

    def get(self, name: str) -> Account:
        """Return a person's account; the first call allocates it and makes the home.

        Raises
        ------
        AccountError
            If all uids are given away.
        """
        uid = self._allocate(name) if self.separate else None
        with _locked(self._data / "accounts.lock"):
            home = home_folder(self._homes, name)
        home.mkdir(mode=0o700, exist_ok=True)
        if uid is not None and home.stat().st_uid != uid:
            hand_over(home, uid)
        return Account(name=name, slug=slug(name), uid=uid, gid=uid, home=home)

    # Giving a name free

    def home_of(self, name: str) -> Path | None:
        """Return a person's home if there is one; unlike `get`, this makes none."""
        with _locked(self._data / "accounts.lock"):
            home = home_folder(self._homes, name)
        return home if home.is_dir() and not home.is_symlink() else None

    def processes_of(self, name: str) -> int:
        """Count the processes that run as a person with the home; 0 where people share a uid and cannot be told apart.

        Another data folder of this machine may have given the same uid to somebody else, so the uid alone does not count.
        """
        import psutil  # noqa: PLC0415 - vkd, which has no use for it here, must stay small

        uid = self._table().get(name) if self.separate else None
        if uid is None:
            return 0
        home, found = self._homes / slug(name), 0
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.uids().real == uid and process.status() != psutil.STATUS_ZOMBIE:
                    found += process.environ().get("HOME") == str(home) or Path(process.cwd()).is_relative_to(
                        home
                    )
        return found

    def archived(self, name: str, stamp: str) -> Path:
        """Return where `archive` puts a person's home."""
        return self._data / "archive" / f"{slug(name)}-{stamp}"

    def archive(self, name: str, stamp: str) -> None:
        """Put a person's home and scratch space where only the platform's own account gets; nobody else ever has the uid.

        Whoever has the name next starts with empty folders and another uid, so that nothing that the first person left anywhere
        on this machine is theirs. Done again, it finishes what was cut short.

        Parameters
        ----------
        stamp
            Tells several archives of one name apart.
        """
        folder = self._data / "archive"
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        with _locked(self._data / "accounts.lock"):
            scratch = self._data / SCRATCH / slug(name)
            if scratch.is_dir() and not scratch.is_symlink():
                archived = self.archived(name, stamp)
                scratch.rename(archived.with_name(f"{archived.name}-{SCRATCH}"))
            home = home_folder(self._homes, name)
            if home.is_dir() and not home.is_symlink():
                home.rename(self.archived(name, stamp))
            former = self._homes / _former_slug(name)
            if former.is_symlink():
                former.unlink()
            known = self._table()
            if (uid := known.pop(name, None)) is not None:
                # No user name has a slash, so this entry is nobody's and keeps the uid taken.
                known[f"{name}/released-{stamp}"] = uid
                self._keep_table(known)

    def _table(self) -> dict[str, int]:
        table = self._data / TABLE
        known: dict[str, int] = json.loads(table.read_text("utf-8")) if table.exists() else {}
        return known

    def _keep_table(self, known: dict[str, int]) -> None:
        # Atomic: a crash in between leaves the old table, never half of one, since a lost uid is a lost home.
        with private_draft(self._data / TABLE, json.dumps(known, indent=1)) as draft:
            draft.replace(self._data / TABLE)

    def _obstacle(self) -> Text:
        """Return what keeps people from having a uid each, or nothing."""
        if os.geteuid() != 0:
            return Sentence("the platform does not run as root")
        # People must pass through these two folders, not list them.
        self._data.chmod(self._data.stat().st_mode & 0o777 | 0o011)
        self._homes.chmod(0o711)
        return _unreachable(sys.executable, str(self._homes))

    def _allocate(self, name: str) -> int:
        # In this order everywhere: the lock of this folder, then that of the machine.
        with _locked(self._data / "accounts.lock"), listed(self._data) as machine:
            known = self._table()
            if name in known and not machine.taken(known[name]):
                machine.take([known[name]])
                return known[name]
            # Else the uid is somebody else's in another data folder: each folder used to count for itself.
            taken = set(known.values())
            free = (
                uid
                for uid in range(FIRST_UID, LAST_UID + 1)
                if uid not in taken and not machine.taken(uid) and not _in_passwd(uid)
            )
            uid = next(free, None)
            if uid is None:
                raise AccountError(Message("failed.start.accounts", first=FIRST_UID, last=LAST_UID))
            known[name] = uid
            self._keep_table(known)
            machine.take([uid])
            return uid


@functools.cache
def _unreachable(executable: str, folder: str) -> Text:
    """Try as nobody whether another uid can run this Python with this package and pass to the homes.

    An interpreter, a checkout or a data folder below ``/root`` (mode 0700 on many machines) cannot be reached, and
    permissions, mounts and security modules are too many to judge from their settings: so it is tried for real.
    """
    code = "import os, sys; import aiinfn_hub; os.chdir(sys.argv[1])"
    try:
        done = subprocess.run(
            [executable, "-c", code, folder],
            cwd="/",
            env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
            user=_NOBODY,
            group=_NOBODY,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    except PermissionError as error:
        if error.filename and Path(os.fsdecode(error.filename)).name == Path(executable).name:
            return Sentence("other system accounts cannot run the Python that the platform runs in")
        return Sentence("this machine does not let the platform start processes of other system accounts")
    except (OSError, subprocess.SubprocessError):
        return Sentence("a trial as another system account failed")
    if done.returncode == 0:
        return ""
    if b"os.chdir" in done.stderr or b"homes" in done.stderr:
        return Sentence("other system accounts cannot reach the data folder")
    return Sentence("other system accounts cannot reach the platform's own code")


def _in_passwd(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def hand_over(home: Path, uid: int) -> None:
    """Make a folder and everything in it a person's: it is new, or was used under another uid."""
    for _path, folders, files, here in os.fwalk(home, follow_symlinks=False):
        for entry in (*folders, *files):
            os.chown(entry, uid, uid, dir_fd=here, follow_symlinks=False)
    home.chmod(0o700)
    # Last, so that a hand-over that was cut short is done again.
    os.chown(home, uid, uid)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
