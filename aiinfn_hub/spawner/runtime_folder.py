"""The runtime folder of a local session: for sockets and connection files, of mode 0700, gone with the session.

It is what ``XDG_RUNTIME_DIR`` names: outside of the home, which may be on a network file system or full, and with a short
path, because the path of a Unix socket has at most 107 bytes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from aiinfn_hub.host.accounts import Account

LONGEST: Final = 57
"""Bytes of the folder's path that leave room for the names Jupyter gives a kernel's sockets (``/kernel-UUID-ipc-5``)."""
_ROOT: Final = Path("/run/aiinfn")
_NAME: Final = 16


def path_of(cookie: str) -> Path:
    """Return where the runtime folder of a session is, by the random word of its start."""
    return _parent() / cookie[:_NAME]


def make(cookie: str, account: Account) -> Path:
    """Make the runtime folder of a session.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    parent = _parent()
    if not parent.is_dir():
        # People pass through it and cannot list it.
        parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        parent.chmod(0o711 if os.geteuid() == 0 else 0o700)
    found = parent.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
        raise OSError(f"{parent} belongs to somebody else")
    folder = parent / cookie[:_NAME]
    folder.mkdir(mode=0o700)
    if account.uid is not None and account.gid is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def remove(cookie: str) -> None:
    """Remove the runtime folder of a session that ended."""
    if cookie:
        # It is the person's: this follows no link in it.
        with contextlib.suppress(OSError):
            shutil.rmtree(path_of(cookie))


def _parent() -> Path:
    """Return the folder of all runtime folders; the same at each call, also after a restart of the hub."""
    if os.geteuid() == 0 and os.access("/run", os.W_OK):
        return _ROOT
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
        if base and Path(base).is_dir() and os.access(base, os.W_OK):
            parent = Path(base, f"aiinfn-{os.geteuid()}")
            if len(os.fsencode(parent)) + 1 + _NAME <= LONGEST:
                return parent
    return Path("/tmp", f"aiinfn-{os.geteuid()}")  # noqa: S108 - the owner is checked
