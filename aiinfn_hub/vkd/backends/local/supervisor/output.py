"""What a job prints: its log, with the runner's records taken out."""

from __future__ import annotations

import json
from typing import Any, Final

from .system import write_all

RECORD_START: Final = b"\x1e"
RECORD_LIMIT: Final = 256 * 1024
RESOURCES: Final = "resources"
"""The type of records that are gathered in a file of their own: see `resources.Series`."""
RECORD_TYPES: Final = ("progress", "error", "values", RESOURCES)
MOST_VALUES: Final = 100
"""Recorded values that are kept of one attempt."""


class Splitter:
    """Takes the records out of a stream of bytes, wherever the chunks are cut.

    A record is RECORD_START, one JSON object of a known type, and a newline. What only looks like one stays text.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> tuple[bytes, list[dict[str, Any]]]:
        """Give the text and the records that are complete now. It takes time in proportion to the data, whatever they are."""
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
        """Give what was held back when the stream ended."""
        held = bytes(self._held)
        self._held.clear()
        return held


def _as_record(line: bytearray) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("type") in RECORD_TYPES else None


def keep(kept: dict[str, Any], record: dict[str, Any]) -> None:
    """Take a record in: the last of its type counts, but recorded values add up."""
    if record["type"] != "values":
        kept[record["type"]] = record
        return
    new = record.get("values")
    if isinstance(new, dict):
        values = {**(kept.get("values") or {}).get("values", {}), **new}
        kept["values"] = {"type": "values", "values": dict(list(values.items())[:MOST_VALUES])}


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
