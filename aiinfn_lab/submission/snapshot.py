"""Copies of inputs, made at submission, so that a later edit does not change a queued job."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiinfn_hub.contract.constants import SNAPSHOT_ROOT
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import private_folder

if TYPE_CHECKING:
    from .folder import CopyPlan, Entry

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Snapshot:
    """Where the copy of an input is.

    Attributes
    ----------
    path
        Relative to the home.
    fresh
        Whether this submission made it; otherwise it belongs to an earlier one with the same key.
    """

    path: str
    folder: Path
    fresh: bool

    def discard(self) -> None:
        """Remove the copy again, if this submission made it."""
        if self.fresh:
            shutil.rmtree(self.folder, ignore_errors=True)


def planned(key: str, name: str) -> str:
    """Path that a snapshot would have, relative to the home.

    The folder follows from the idempotency key: a repeated request finds the copy of the first one, so that both
    say the same to vkd although the file may have changed in between.
    """
    digest = hashlib.sha256(f"{key}\0{name}".encode()).hexdigest()
    return f"{SNAPSHOT_ROOT}/{digest[:16]}/{name}"


def take(home: Path, key: str, name: str, data: bytes) -> Snapshot:
    """Write the copy, durably and all or nothing. Blocks; call it in a thread.

    Raises
    ------
    Refusal
        If there is no room, or the folder cannot be written. Nothing is left behind.
    """
    return _take(home, key, name, lambda place: _write(place, data))


def take_folder(home: Path, key: str, plan: CopyPlan) -> Snapshot:
    """Copy a folder as planned, durably and all or nothing. Blocks; call it in a thread.

    Modes and times are kept: ``make`` compares times.

    Raises
    ------
    Refusal
        If there is no room, or something cannot be read or written. Nothing is left behind.
    """

    def fill(place: Path) -> None:
        place.mkdir(mode=0o700)
        for entry in plan.copied:
            _copy(plan.place, place, entry)
        for entry in plan.linked:
            (place / entry.path).symlink_to(plan.place / entry.path)
        # Times of folders last, as what is put into them changes them.
        for entry in reversed(plan.copied):
            if entry.kind == "folder":
                shutil.copystat(plan.place / entry.path, place / entry.path)
                (place / entry.path).chmod((place / entry.path).stat().st_mode | 0o700)

    return _take(home, key, plan.name, fill)


def _copy(source: Path, place: Path, entry: Entry) -> None:
    old, new = source / entry.path, place / entry.path
    if entry.kind == "folder":
        new.mkdir(mode=0o700)
    elif entry.kind == "link":
        target = str(old.readlink())
        inside = os.path.normpath(f"{Path(entry.path).parent}/{target}")
        if not target.startswith("/") and inside.split("/")[0] == "..":
            target = os.path.normpath(old.parent / target)
        new.symlink_to(target)
    else:
        try:
            # What has become a link meanwhile is not followed out of the home.
            descriptor = os.open(old, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return  # it was deleted meanwhile, as temporary files are
        with open(descriptor, "rb") as file, new.open("xb") as copy:  # noqa: PTH123 - a descriptor, not a path
            shutil.copyfileobj(file, copy, 2**20)
            copy.flush()
            os.fsync(copy.fileno())
            status = os.fstat(file.fileno())
        new.chmod((status.st_mode & 0o777) | 0o600)
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))


def _take(home: Path, key: str, name: str, fill: Callable[[Path], None]) -> Snapshot:
    path = planned(key, name)
    folder = (home / path).parent
    try:
        (home / path).stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise _explain(error) from error
    else:
        return Snapshot(path, folder, fresh=False)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        private_folder(home, SNAPSHOT_ROOT)
        draft.mkdir(mode=0o700)
        fill(draft / name)
        _sync(draft)
        draft.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise _explain(error) from error
    return Snapshot(path, folder, fresh=True)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(error: OSError) -> Refusal:
    if error.errno in _FULL:
        return Refusal(
            Reason.STORAGE_FULL,
            _("Your home is full, so the job's copy of the file could not be made."),
            _("Delete something, then submit again; nothing was submitted."),
        )
    return Refusal(
        Reason.FORBIDDEN if isinstance(error, PermissionError) else Reason.UNAVAILABLE,
        _("The job's copy of the file could not be written to ~/{folder}: {reason}.").format(
            folder=SNAPSHOT_ROOT, reason=os.strerror(error.errno or 0)
        ),
        _("Check that the folder is yours and can be written; nothing was submitted."),
    )
