"""Storage of the platform file on one machine: links in a person's home, for sessions and jobs alike.

The home is the person's home on this machine. A share with a ``local`` folder, and scratch space, are links in it, because a process
can mount nothing. What cannot be had is said: by ``aiinfn-hub check``, in the log at a start, and on the form.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from aiinfn_hub.host.accounts import SCRATCH, Account, hand_over
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.storage import Storage, StorageUse
from aiinfn_hub.platform.model.storage_kinds.base import PERSON, PROJECT, Whose
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.platform.slugs import slug

_log = logging.getLogger(__name__)


def is_missing(storage: Storage) -> bool:
    """Return whether a storage cannot be had on one machine as the platform file describes it."""
    return storage.use is StorageUse.SHARE and storage.local is None


def notes(platform: Platform) -> Iterator[str]:
    """Return, for operators, what of the storage is another thing on one machine."""
    for name, storage in platform.storage.items():
        at = f"storage.{name}"
        if storage.use is StorageUse.HOME:
            if storage.local:
                yield f"{at}: homes are in the data folder on one machine; local is not used."
        elif is_missing(storage):
            yield f"{at}: it is not there on one machine; write for example local: {{kind: folder, path: /srv/{name}}}."
        elif storage.use is StorageUse.SCRATCH and not storage.local:
            yield f"{at}: on one machine, scratch space is a folder of its own for each person, which outlives sessions and jobs."
        if storage.read_only and storage.local:
            folder = storage.local.local_folder(Whose(PERSON, PROJECT))
            yield f"{at}: read_only is not enforced on one machine; let the permissions of {folder} do it."


def link(account: Account, selection: Selection, platform: Platform, data: Path) -> None:
    """Make the links in a home that a session or job is to find; what is in the way stays, and is logged.

    This may run as root in a home that its owner can change meanwhile: each step is about one name in an open folder, and
    follows no link.
    """
    for name in selection.storage or ():
        storage = platform.storage.get(name)
        if storage is None or storage.use is StorageUse.HOME:
            continue
        if is_missing(storage):
            _log.warning("storage %s is not there on one machine: it has no folder here", name)
            continue
        try:
            of_project = storage.local is not None and storage.local.is_one_for_each(PROJECT)
            label = slug(selection.project) if of_project else ""
            _link(account, f"{name}-{label}" if label else name, _target(account, storage, selection, data))
        except OSError as error:
            _log.warning(
                "storage %s is not in the home of %s: %s", name, account.slug, error.strerror or error
            )


def _target(account: Account, storage: Storage, selection: Selection, data: Path) -> str:
    if storage.local is not None:
        return storage.local.local_folder(Whose(account.slug, slug(selection.project)))
    above = data / SCRATCH
    above.mkdir(mode=0o711, parents=True, exist_ok=True)
    own = above / account.slug
    own.mkdir(mode=0o700, exist_ok=True)
    if account.uid is not None and own.lstat().st_uid != account.uid:
        hand_over(own, account.uid)
    return str(own)


def _link(account: Account, name: str, target: str) -> None:
    home = os.open(account.home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            os.symlink(target, name, dir_fd=home)
        except FileExistsError:
            if not stat.S_ISLNK(os.lstat(name, dir_fd=home).st_mode):
                raise
            if os.readlink(name, dir_fd=home) == target:
                return
            if _leads_somewhere(name, home):
                raise
            # A link of an earlier platform file, whose folder is gone.
            os.unlink(name, dir_fd=home)
            os.symlink(target, name, dir_fd=home)
        # The link stays this process's: its owner does not matter, and by now another file may have its name.
    finally:
        os.close(home)
    if not Path(target).is_dir():
        _log.warning("storage: %s is no folder of this machine", target)


def _leads_somewhere(name: str, home: int) -> bool:
    try:
        os.stat(name, dir_fd=home)
    except OSError:
        return False
    return True
