"""The log of an attempt on disk: each line of the pod's log once, however often the stream broke off.

``archive.json`` says how far it is: the size of the log, and the time stamp of the last line with the number of lines that
have it. It is written after the log; what the log has more than it says, because vkd was killed between the two, is cut
off and comes again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from aiinfn_hub.vkd.backends.local.files import AttemptFolder
from aiinfn_hub.vkd.backends.local.outcome import progress_of, values_of
from aiinfn_hub.vkd.backends.local.supervisor.output import RESOURCES, Splitter, keep
from aiinfn_hub.vkd.backends.local.supervisor.resources import Series
from aiinfn_hub.vkd.backends.local.supervisor.system import write_all, write_atomically
from aiinfn_hub.vkd.contract import Progress, Scalar

_STAMP: Final = re.compile(rb"\d{4}-\d\d-\d\dT[^ ]+\Z")


class NoLine(Exception):  # noqa: N818 - it is named for what was found
    """What came is no line of the log: the kubelet tells its troubles in between."""


class Told(NamedTuple):
    """What the runner told in a part of the log: its last progress, and what was recorded."""

    progress: Progress | None
    values: dict[str, Scalar]

    def __bool__(self) -> bool:
        return self.progress is not None or bool(self.values)


@dataclass(slots=True)
class _Mark:
    pod: str
    size: int = 0
    stamp: str = ""
    same: int = 0
    complete: bool = False


class Archive:
    """The log of one attempt. Everything here blocks.

    Parameters
    ----------
    limit
        Bytes that are kept.
    """

    def __init__(self, folder: AttemptFolder, pod: str, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._splitter = Splitter()
        self._records: dict[str, Any] = {}
        self._series = Series()
        self._mark = _Mark(pod)
        self._skip = 0
        self._held = b""

    @property
    def since(self) -> str | None:
        """Time stamp from which on the log is still wanted; None: from its start."""
        return self._mark.stamp or None

    @property
    def complete(self) -> bool:
        """Whether nothing follows."""
        return self._mark.complete

    def open(self) -> None:
        """Go on where an earlier one stopped; what is there of another pod is thrown away."""
        self._folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(OSError, ValueError, TypeError):
            found = _Mark(**json.loads((self._folder.path / "archive.json").read_bytes()))
            if found.pod == self._mark.pod:
                self._mark = found
                self._records = self._folder.read_records()
                self._series = Series(self._folder.read_resources())
        if not self._records:
            self._folder.records.unlink(missing_ok=True)
        if not self._series.points:
            self._folder.resources.unlink(missing_ok=True)
        self.reconnect()

    def reconnect(self) -> None:
        """Get ready for a stream that begins at `since`; what was written, but not noted, is cut off."""
        descriptor = os.open(self._folder.log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size > self._mark.size:
                os.ftruncate(descriptor, self._mark.size)
        finally:
            os.close(descriptor)
        self._skip = self._mark.same
        self._held = b""

    def feed(self, data: bytes) -> Told:
        """Take in a part of the stream; gives what the runner told in it.

        Raises
        ------
        NoLine
            If it is not the log.
        OSError
            If it cannot be written.
        """
        *lines, self._held = (self._held + data).split(b"\n")
        text: list[bytes] = []
        records: list[dict[str, Any]] = []
        stamp, same = self._mark.stamp, self._mark.same
        broken = False
        for line in lines:
            head, _, rest = line.partition(b" ")
            if not _STAMP.match(head):
                broken = True
                break
            at = head.decode()
            if at < stamp:
                continue
            if at == stamp:
                if self._skip > 0:
                    self._skip -= 1
                    continue
                same += 1
            else:
                stamp, same, self._skip = at, 1, 0
            said, told = self._splitter.feed(rest + b"\n")
            text.append(said)
            records += told
        used = [record for record in records if record["type"] == RESOURCES]
        records = [record for record in records if record["type"] != RESOURCES]
        self._write(b"".join(text), records, used, stamp, same)
        if broken:
            raise NoLine
        kept: dict[str, Any] = {}
        for record in records:
            keep(kept, record)
        return Told(progress_of(kept), values_of(kept))

    def _write(
        self, text: bytes, records: list[dict[str, Any]], used: list[dict[str, Any]], stamp: str, same: int
    ) -> None:
        if (stamp, same) == (self._mark.stamp, self._mark.same):
            return
        room = self._limit - self._mark.size
        if len(text) > room:
            end = f"\n[aiinfn] The log ends here: it reached {self._limit / 2**20:.4g} MiB.\n".encode()
            text = text[:room] + end if room > 0 else b""
        if text:
            descriptor = os.open(self._folder.log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                write_all(descriptor, text)
            finally:
                os.close(descriptor)
        if records:
            for record in records:
                keep(self._records, record)
            write_atomically(str(self._folder.records), self._records, durable=False)
        added = [self._series.add(record) for record in used]
        if any(added):
            write_atomically(str(self._folder.resources), self._series.points, durable=False)
        self._mark = _Mark(self._mark.pod, self._mark.size + len(text), stamp, same)
        self._save()

    def finish(self) -> None:
        """Note that nothing follows."""
        if self._held:
            with contextlib.suppress(NoLine):
                self.feed(b"\n")
        self._mark.complete = True
        with contextlib.suppress(OSError):
            self._save()

    def _save(self) -> None:
        write_atomically(str(self._folder.path / "archive.json"), asdict(self._mark), durable=False)
