"""Reading an attempt's log while it grows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiinfn_hub.vkd.domain.backend import LogChunk

from .attempt_files import AttemptFolder

_LOOK: Final = 0.2
"""Seconds between two looks at a log's size."""


def size_of(folder: AttemptFolder) -> int:
    """Return the present size of the log; 0 if there is none yet."""
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


async def wait(folder: AttemptFolder, offset: int, timeout: float, is_over: Callable[[], bool]) -> None:  # noqa: ASYNC109 - a long poll
    """Wait until the log is longer than ``offset``, the attempt is over, or for ``timeout`` seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    while not is_over() and size_of(folder) <= offset:
        left = until - loop.time()
        if left <= 0:
            return
        await asyncio.sleep(min(_LOOK, left))
