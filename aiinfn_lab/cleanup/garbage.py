"""Removes from the home what deleted jobs left there: copies of inputs that no job uses any more, and checkpoints.

vkd may not be able to reach homes, so it keeps a list of what is to be removed; a session of the person removes it, when
jobs are deleted and now and then. What cannot be removed stays on the list.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from aiinfn_hub.contract.constants import CHECKPOINTS, SNAPSHOT_ROOT

_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


def clear(home: Path, tombstones: Iterable[Mapping[str, Any]]) -> list[str]:
    """Remove what is left of deleted jobs. Blocks; call it in a thread.

    Nothing but a folder directly in one of the two folders of this platform is ever removed, whatever the list says,
    and links are not followed.

    Returns
    -------
    list of str
        Ids of the jobs of which nothing is left.
    """
    done = []
    for left in tombstones:
        job, path = str(left.get("id")), left.get("snapshot")
        folders = [home / CHECKPOINTS / job] if _SAFE.match(job) else []
        if isinstance(path, str) and (folder := _folder(home, path)) is not None:
            folders.append(folder)
        gone = [_removed(folder) for folder in folders]
        if all(gone):
            done.append(job)
    return done


def _folder(home: Path, path: str) -> Path | None:
    """Return the folder of a copy, directly in `SNAPSHOT_ROOT`: a file is in it, or a folder that was copied as a whole."""
    folder, *inside = path.removeprefix(f"{SNAPSHOT_ROOT}/").split("/")
    if not path.startswith(f"{SNAPSHOT_ROOT}/") or not inside or "\0" in path:
        return None
    if any(name in {"", ".", ".."} for name in (folder, *inside)):
        return None
    return home / SNAPSHOT_ROOT / folder


def _removed(folder: Path) -> bool:
    try:
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
    except OSError:
        return False
    return True
