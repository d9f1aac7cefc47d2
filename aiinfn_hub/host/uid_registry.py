"""The list of uids that the platforms of this machine gave out, so that two of them never give the same one.

Each platform keeps its own table in its data folder (`aiinfn_hub.host.accounts`), which alone says who has which uid. The list
says for each uid which data folder has it. What is listed for a folder that is gone, or whose table does not have it any
more, is free.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from .private_files import private_draft

logger = logging.getLogger(__name__)

LIST: Final = Path("/var/lib/aiinfn/uids.json")
"""Of the machine, whatever ``AIINFN_DATA`` is; ``AIINFN_UIDS`` names another place."""
TABLE: Final = "accounts.json"


class Uids:
    """The uids of this machine that a data folder may give out, while the list is locked.

    Parameters
    ----------
    folders
        What the list says: which data folder has a uid.
    """

    def __init__(self, data: Path, folders: dict[int, str]) -> None:
        self._data = data
        self.folders = folders
        self._tables: dict[str, set[int]] = {}

    def taken(self, uid: int) -> bool:
        """Return whether another data folder gave it to somebody."""
        folder = self.folders.get(uid)
        return folder is not None and not self._is_own(folder) and uid in self._table(folder)

    def take(self, uids: Iterable[int]) -> None:
        """List uids for this data folder."""
        self.folders |= dict.fromkeys(uids, str(self._data))

    def _is_own(self, folder: str) -> bool:
        # The same folder may be reached by two paths.
        try:
            return Path(folder).samefile(self._data)
        except OSError:
            return False

    def _table(self, folder: str) -> set[int]:
        if folder not in self._tables:
            self._tables[folder] = set()
            with contextlib.suppress(OSError, ValueError, AttributeError):
                table = json.loads(Path(folder, TABLE).read_text("utf-8"))
                self._tables[folder] = {uid for uid in table.values() if isinstance(uid, int)}
        return self._tables[folder]


@contextlib.contextmanager
def listed(data: Path) -> Iterator[Uids]:
    """Lock the machine's list, and write it back if something was taken.

    Where there can be none (a container without a writable ``/var/lib``), each data folder is alone.
    """
    place = Path(os.environ.get("AIINFN_UIDS") or LIST)
    try:
        place.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = os.open(
            place.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
    except OSError as error:
        logger.warning("No list of the uids of this machine can be kept in %s: %s", place, error.strerror)
        yield Uids(data, {})
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = _read(place)
        uids = Uids(data, dict(before))
        yield uids
        if uids.folders != before:
            with private_draft(place, json.dumps(dict(sorted(uids.folders.items())), indent=1)) as draft:
                draft.replace(place)
    finally:
        os.close(lock)


def _read(place: Path) -> dict[int, str]:
    try:
        found = json.loads(place.read_text("utf-8"))
        return {int(uid): str(folder) for uid, folder in found.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError):
        logger.warning("%s cannot be read; it is written anew", place)
        return {}
