"""Whether what can be written can be read: tried in a copy of the process, so that nothing changes in the person's kernel."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import sys
import time
import warnings
from typing import Any

from .pickling import Count, Unpickler
from .words import explained, told

_KEPT = 256 * 2**20
"""Bytes of streams that are kept for it in all; buffers of arrays are not copied."""
_NOT_TO_FORK = ("mpi4py.MPI",)
"""Modules with which a process must not be copied."""


class Trial:
    """What was written of variables, and is to be read."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[bytes, list[Any]]] = {}
        self._room = _KEPT
        self._unread: set[str] = set()

    def add(self, name: str, count: Count, *, gpu: bool) -> None:
        """Take a variable in, unless it is too large, or needs the GPU, which a copy of the process cannot use."""
        if count.stream is None or count.size > self._room or gpu:
            self._unread.add(name)
            return
        self._room -= count.size
        self._streams[name] = b"".join(count.stream), count.buffers

    def run(
        self, namespace: dict[str, Any], mine: dict[str, Any], seconds: float
    ) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """Read all in a copy of this process that has not the person's variables.

        Returns
        -------
        tuple
            Why variables cannot be read, by their names, see `words.explained`; and the names of those that were not tried to the end.
        """
        left = dict(self._streams)
        self._streams.clear()
        if not left or not hasattr(os, "fork") or any(name in sys.modules for name in _NOT_TO_FORK):
            return {}, self._unread | set(left)
        reasons = {}
        end = time.monotonic() + seconds
        ended = True
        while left and ended:
            found, ended = _told(left, namespace, mine, end)
            for name, error in found:
                del left[name]
                if error is not None:
                    reasons[name] = explained("variable.not_read_back", error=error)
            if left and ended:
                # In the order in which they are read: this one ended the copy, and would end the job's kernel.
                name = next(iter(left))
                del left[name]
                reasons[name] = explained("variable.ends_process")
        return reasons, self._unread | set(left)


def _told(
    streams: dict[str, tuple[bytes, list[Any]]], namespace: dict[str, Any], mine: dict[str, Any], end: float
) -> tuple[list[tuple[str, str | None]], bool]:
    """Return what the copy told, and whether it ended by itself while it read."""
    reading, writing = os.pipe()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # on copying a process with threads, of Python 3.12 and of libraries
            child = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return [], False
    if child == 0:
        try:
            _read_all(streams, namespace, mine, writing)
        finally:
            # Without any clean-up: files and connections are those of the process that was copied.
            os._exit(0)
    os.close(writing)
    data, ended = b"", False
    try:
        while select.select([reading], [], [], max(0.0, end - time.monotonic()))[0]:
            part = os.read(reading, 65536)
            if not part:
                ended = True
                break
            data += part
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
    lines = data.split(b"\n")[:-1]
    # The first, which is empty, says that the reading began.
    return [tuple(json.loads(line)) for line in lines[1:]], ended and bool(lines)


def _read_all(
    streams: dict[str, tuple[bytes, list[Any]]], namespace: dict[str, Any], mine: dict[str, Any], writing: int
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    sys.stdout = sys.stderr = io.StringIO()
    # Nothing is released: what an object does when it goes would be done to files that the person still uses.
    kept: list[Any] = [dict(namespace), sys.modules.get("cloudpickle.cloudpickle")]
    for name in mine:
        del namespace[name]
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle") or sys.modules.get("cloudpickle")
    for name in ("_DYNAMIC_CLASS_TRACKER_BY_CLASS", "_DYNAMIC_CLASS_TRACKER_BY_ID"):
        # It would give back the classes that are here.
        tracker = getattr(cloudpickle, name, None)
        if tracker is not None:
            kept.append(dict(tracker))
            tracker.clear()
    os.write(writing, b"\n")
    for name, (stream, buffers) in streams.items():
        said = None
        try:
            kept.append(Unpickler(io.BytesIO(stream), buffers=iter(buffers)).load())
        except BaseException as error:  # anything that the values' own code may raise, SystemExit as well
            kept.append(error)
            said = told(error)[:460]
        os.write(writing, json.dumps([name, said]).encode() + b"\n")
