"""Reading an attempt's log while it grows."""

from __future__ import annotations

from aiinfn_hub.vkd.backends.base import LogChunk

from .files import AttemptFolder


def size_of(folder: AttemptFolder) -> int:
    """Give the present size of the log; 0 if there is none yet."""
    try:
        return folder.log.stat().st_size
    except OSError:
        return 0


def read(folder: AttemptFolder, attempt: int, offset: int, limit: int, *, over: bool) -> LogChunk:
    """Read part of a log. Blocks.

    Parameters
    ----------
    offset
        From the start, or if negative from the end; beyond either end it is the end.
    over
        Whether the attempt was over *before* this call, so that nothing can follow what is read now.
    """
    size = size_of(folder)
    start = min(offset, size) if offset >= 0 else max(0, size + offset)
    data = b""
    if limit > 0 and start < size:
        with folder.log.open("rb") as stream:
            stream.seek(start)
            data = stream.read(limit)
    return LogChunk(attempt, start, data, over and start + len(data) >= size)
