"""What a job prints: its log, with the runner's records taken out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from aiinfn_hub.contract.constants import RECORD_SEPARATOR
from aiinfn_hub.contract.records import (
    RECORD_TYPES,
    RESOURCES,
    Kept,
    RecordRefusedError,
    check,
)

from .resource_series import Series
from .system import write_all

RECORD_START: Final = RECORD_SEPARATOR.encode()
RECORD_LIMIT: Final = 128 * 1024
"""Bytes of one record. More than is kept of it: an error's traceback is shortened, not refused."""
MOST_NOTICES: Final = 10
"""Refused records that are named in the log of an attempt."""


class Splitter:
    """Takes the records out of a stream of bytes, wherever the chunks are cut.

    A record is RECORD_START, one JSON object of a known type, and a newline. What only looks like one stays text.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> tuple[bytes, list[dict[str, Any]]]:
        """Return the text and the records that are complete now. It takes time in proportion to the data, whatever they are."""
        text: list[bytes] = []
        records: list[dict[str, Any]] = []
        at, size = 0, len(data)
        while at < size:
            start = data.find(RECORD_START, at)
            if not self._held:
                text.append(data[at : start if start >= 0 else size])
                if start < 0:
                    break
                self._held += RECORD_START
                at = start + 1
                continue
            # JSON never holds a raw RECORD_START: if one comes first, the earlier one began no record.
            end = data.find(b"\n", at, start if start >= 0 else size)
            cut = end if end >= 0 else start if start >= 0 else size
            self._held += data[at:cut]
            at = cut
            if end >= 0:
                record = _as_record(self._held[1:])
                if record is not None:
                    records.append(record)
                    at += 1
                else:
                    text.append(bytes(self._held))
                self._held.clear()
            elif at < size or len(self._held) > RECORD_LIMIT:
                text.append(bytes(self._held))
                self._held.clear()
        return b"".join(text), records

    def rest(self) -> bytes:
        """Return what was held back when the stream ended."""
        held = bytes(self._held)
        self._held.clear()
        return held


def _as_record(line: bytearray) -> dict[str, Any] | None:
    try:
        # Decoded here: `json` would guess other encodings, and let through what is no text in any.
        value = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    kind = value.get("type") if isinstance(value, dict) else None
    return value if isinstance(kind, str) and kind in RECORD_TYPES else None


class Recorder:
    """What a job told: takes records in, and says which of them were refused and why.

    Attributes
    ----------
    kept
        Progress, error and values.
    series
        What it used over time.
    news, measured
        Something changed in the one or the other; whoever writes them to disk sets these back.
    """

    def __init__(
        self, records: dict[str, Any] | None = None, points: list[dict[str, Any]] | None = None
    ) -> None:
        self.kept = Kept(records)
        self.series = Series(points)
        self.news = False
        self.measured = False
        self._named: set[str] = set()

    def add(self, records: Iterable[dict[str, Any]]) -> bytes:
        """Take records in; return what is to be said about refused ones in the log, each reason once."""
        notices = []
        for record in records:
            try:
                checked = check(record)
                if checked["type"] == RESOURCES:
                    self.measured |= self.series.add(checked[RESOURCES])
                    continue
                self.news = True
                self.kept.add(checked)
            except RecordRefusedError as refused:
                notices.append(self._notice(str(refused)))
        return b"".join(notices)

    def _notice(self, why: str) -> bytes:
        if why in self._named or len(self._named) > MOST_NOTICES:
            return b""
        self._named.add(why)
        if len(self._named) > MOST_NOTICES:
            return b"[aiinfn] More of what this job told about itself was refused.\n"
        return f"[aiinfn] Something that this job told about itself was refused: {why}.\n".encode()


class Log:
    """The job's log: it never grows past its limit, and a full disk costs text but not the job."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._room = limit
        self._limit = limit
        self._missing = False
        self._told_missing = False

    def write(self, data: bytes) -> None:
        """Append what there is room for."""
        if self._room <= 0 or not data:
            return
        if self._missing and not self._told_missing:
            notice = b"\n[aiinfn] Some output is missing here: the disk was full.\n"
            self._told_missing = self._append(notice)
        if len(data) >= self._room:
            self._append(data[: self._room])
            self._room = 0
            self._append(
                f"\n[aiinfn] The log ends here: it reached {self._limit / 2**20:.4g} MiB.\n".encode()
            )
        else:
            self._room -= len(data)
            self._append(data)

    def _append(self, data: bytes) -> bool:
        try:
            write_all(self._descriptor, data)
        except OSError:
            self._missing = True
            return False
        return True
