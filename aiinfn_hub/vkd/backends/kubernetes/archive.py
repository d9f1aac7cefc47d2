"""The log of an attempt on disk: each line of the pod's log once, however often the stream broke off.

``archive.json`` says how far it is: the size of the log, the time stamp of the last line with the number of lines that
have it, and of a line that has no end yet the time stamp and how much of it is written. It is written after the log; what the log has more than it says, because vkd was killed between the two, is cut
off and comes again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, NamedTuple

from aiinfn_hub.contract.runner import Progress, Scalar
from aiinfn_hub.vkd.backends.common.attempt_files import AttemptFolder
from aiinfn_hub.vkd.backends.common.exit_outcome import progress_of, values_of
from aiinfn_hub.vkd.backends.common.runner_output import Recorder, Splitter
from aiinfn_hub.vkd.backends.common.system import write_all, write_atomically

_STAMP_LENGTH: Final = 64
"""Bytes within which a line's time stamp has ended."""
_STAMP: Final = re.compile(rb"\d{4}-\d\d-\d\dT[^ ]+\Z")


class NoLineError(Exception):
    """What came is no line of the log: the kubelet tells its troubles in between."""


class ArchivedPart(NamedTuple):
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
    begun: str = ""
    partial: int = 0


@dataclass(slots=True)
class _Line:
    """The line that is being read.

    Attributes
    ----------
    known
        Whether it is in the log already.
    written
        Bytes of it that are in the log and come again.
    """

    at: str
    known: bool = False
    written: int = 0
    taken: bool = False


class LogArchive:
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
        self._recorder = Recorder()
        self._mark = _Mark(pod)
        self._skip = 0
        self._head = b""
        self._line: _Line | None = None

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
                self._recorder = Recorder(self._folder.read_records(), self._folder.read_resources())
        if not self._recorder.kept.records["serial"]:
            self._folder.records.unlink(missing_ok=True)
        if not self._recorder.series.points:
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
        self._splitter = Splitter()
        self._head = b""
        self._line = None

    def feed(self, data: bytes) -> ArchivedPart:
        """Take in a part of the stream; returns what the runner told in it.

        A line is not gathered before it is written: it may have no end. What a part costs depends on its size alone.

        Raises
        ------
        NoLineError
            If it is not the log.
        OSError
            If it cannot be written.
        """
        mark = replace(self._mark)
        text: list[bytes] = []
        records: list[dict[str, Any]] = []
        broken = False
        position = 0
        while position < len(data):
            end = data.find(b"\n", position)
            piece = data[position : end + 1 if end >= 0 else len(data)]
            position += len(piece)
            if self._line is None:
                # A stamp is short; what is longer and has none is no line of the log.
                whole = self._head + piece
                stamp, space, rest = whole[:_STAMP_LENGTH].partition(b" ")
                if not space and end < 0 and len(whole) < _STAMP_LENGTH:
                    self._head = whole
                    break
                stamp = stamp.removesuffix(b"\n")
                self._head = b""
                if not _STAMP.match(stamp):
                    broken = True
                    break
                self._line = self._begin(stamp.decode(), mark)
                piece = rest + whole[_STAMP_LENGTH:] if space else b"\n"
            self._take(piece, self._line, mark, text, records)
            if end >= 0:
                self._line = None
        self._write(b"".join(text), mark)
        if broken:
            raise NoLineError
        # Only what came now is news, checked as that which is kept.
        news = Recorder()
        news.add(records)
        return ArchivedPart(progress_of(news.kept.records), values_of(news.kept.records))

    def _begin(self, at: str, mark: _Mark) -> _Line:
        """Begin a line; `mark` is how far the lines before it are."""
        if at < mark.stamp:
            return _Line(at, known=True)
        if at == mark.stamp and self._skip > 0:
            self._skip -= 1
            return _Line(at, known=True)
        if at > mark.stamp:
            self._skip = 0
        # The rest of a line that was written in part when the stream broke off.
        return _Line(at, written=mark.partial if mark.begun == at else 0)

    def _take(
        self, piece: bytes, line: _Line, mark: _Mark, text: list[bytes], records: list[dict[str, Any]]
    ) -> None:
        """Take a piece of a line."""
        whole = piece.endswith(b"\n")
        if line.known:
            return
        if line.written:
            known = min(line.written, len(piece) - whole)
            line.written -= known
            piece = piece[known:]
        said = b""
        if piece:
            said, told = self._splitter.feed(piece)
            text.append(said)
            if told:
                text.append(self._recorder.add(told))
                records += told
            line.taken = True
        if whole:
            mark.same = mark.same + 1 if line.at == mark.stamp else 1
            mark.stamp, mark.begun, mark.partial = line.at, "", 0
        elif line.taken:
            mark.partial = (mark.partial if mark.begun == line.at else 0) + len(said)
            mark.begun = line.at

    def _write(self, text: bytes, mark: _Mark) -> None:
        if mark == self._mark:
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
        recorder = self._recorder
        if recorder.news:
            write_atomically(str(self._folder.records), recorder.kept.records, durable=False)
            recorder.news = False
        if recorder.measured:
            write_atomically(str(self._folder.resources), recorder.series.points, durable=False)
            recorder.measured = False
        mark.size += len(text)
        self._mark = mark
        self._save()

    def finish(self) -> None:
        """Note that nothing follows."""
        if self._line is not None or self._head:
            with contextlib.suppress(NoLineError):
                self.feed(b"\n")
        self._mark.complete = True
        with contextlib.suppress(OSError):
            self._save()

    def _save(self) -> None:
        write_atomically(str(self._folder.path / "archive.json"), asdict(self._mark), durable=False)
