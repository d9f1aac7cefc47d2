"""Files of the data folder that only the platform's own account may read, also those that an older version left open."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

_FOLDERS: Final = ("hub", "vkd", "logs")
"""Below the data folder. Homes and jobs have modes of their own: they are people's."""
_OPEN: Final = stat.S_IRWXG | stat.S_IRWXO


def keep_private(data: Path, folders: Iterable[str] = _FOLDERS) -> None:
    """Take the rights of others from the folders and files of the platform itself, and from what is made from now on.

    What belongs to another account, or lies on a file system without modes, stays as it is.
    """
    # Before the mask: where people have uids of their own they must be able to pass through what is above it.
    data.mkdir(parents=True, exist_ok=True)
    os.umask(0o077)
    places = [data / name for name in folders]
    for place in (data, *places):
        # People pass through the data folder to their homes, but do not list it.
        _tighten(place, _OPEN if place != data else _OPEN & ~(stat.S_IXGRP | stat.S_IXOTH))
        if place.is_dir():
            for entry in os.scandir(place):
                if entry.is_file(follow_symlinks=False):
                    _tighten(Path(entry.path), _OPEN)


def _tighten(path: Path, taken: int) -> None:
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & taken:
            path.chmod(stat.S_IMODE(mode) & ~taken)


@contextlib.contextmanager
def private_draft(path: Path, text: str) -> Iterator[Path]:
    """Write text beside a file, on the disk for good and readable by this account only, for the caller to put in its place.

    Of a draft that is not put there, or for which there is no room, nothing is left.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def write_secrets(path: Path, values: Mapping[str, str]) -> None:
    """Write secrets for another process of this account, whole or not at all; on a full disk, what is there already will do."""
    with contextlib.suppress(OSError, ValueError):
        if read_secrets(path) == dict(values):
            return
    with private_draft(path, json.dumps(dict(values))) as draft:
        draft.replace(path)


def read_secrets(path: Path) -> dict[str, str]:
    """Read what `write_secrets` wrote.

    Raises
    ------
    OSError, ValueError
        If that cannot be read.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no secrets")  # noqa: TRY004 - of what a file says
    return {str(name): str(value) for name, value in found.items()}
