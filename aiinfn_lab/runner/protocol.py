"""What the runner and the back end that started it tell each other: exit codes, and records within the log."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final

from aiinfn_hub.contract.constants import RECORD_SEPARATOR
from aiinfn_hub.contract.runner import (
    JobError,
    Progress,
    ResourcePoint,
    RunnerRecord,
    Scalar,
)
from aiinfn_lab.recording import storable

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
OUT_OF_MEMORY: Final = "Out of memory"
"""Name of the error of what was ended because memory ran out."""
_MEANINGS: Final = {
    "SIGSEGV": "compiled code used memory that is not its own",
    "SIGBUS": "compiled code used memory that is not there",
    "SIGABRT": "compiled code gave up",
    "SIGILL": "compiled code is not for this processor",
    "SIGFPE": "compiled code divided by zero",
    "SIGXCPU": "its limit of processor time",
    "SIGXFSZ": "its limit of the size of files",
}
_LONGEST_MESSAGE: Final = 2000
_LONGEST_TRACEBACK: Final = 20_000
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class RunnerExit(IntEnum):
    """How the runner ends."""

    SUCCESS = 0
    FAILED = 1
    """The person's own code failed; an error record came before."""
    CANNOT_RUN = 2
    """It could not be started at all; an error record came before."""
    STOPPED = 75
    """It was told to stop. Never 0: a job that exits 0 when it is evicted would count as complete."""


class CannotRunError(Exception):
    """The work cannot be executed, whatever its code is.

    Parameters
    ----------
    name
        A word or two for the error.
    message
        A sentence for the person.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


class Reporter:
    """Writes log text and records to standard output."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdout.fileno() if descriptor is None else descriptor
        self._at_line_start = True
        self._held: list[bytes] | None = None

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write what is reported within this context at once, at its end."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            self._write(b"".join(held))

    def log(self, text: str) -> None:
        """Write text to the log; it cannot pass for a record."""
        self.log_bytes(text.encode(errors="replace"))

    def log_bytes(self, data: bytes) -> None:
        """Write what a script printed, as it is."""
        data = data.replace(RECORD_SEPARATOR.encode(), b"")
        if data:
            self._write(data)
            self._at_line_start = data.endswith(b"\n")

    def line(self, text: str) -> None:
        """Write a line of the runner's own to the log."""
        self.log(text + "\n" if self._at_line_start else f"\n{text}\n")

    def progress(self, cell: int, cells: int) -> None:
        """Report how far the notebook is."""
        self._record(RunnerRecord(type="progress", progress=Progress(cell=cell, cells=cells)))

    def values(self, values: Mapping[str, Scalar]) -> None:
        """Report what the job's code recorded."""
        self._record(RunnerRecord(type="values", values=dict(values)))

    def resources(self, point: ResourcePoint) -> None:
        """Report what the job used since the last such record."""
        self._record(RunnerRecord(type="resources", resources=point))

    def error(
        self, name: str, message: str, *, cell: int | None = None, traceback: str = "", line: str = ""
    ) -> None:
        """Report what went wrong, to the log as well.

        Parameters
        ----------
        line
            What the log says of it; the traceback, else the message, if nothing is given.
        """
        message = plain(message).strip()
        if len(message) > _LONGEST_MESSAGE:
            message = message[: _LONGEST_MESSAGE - 4] + " ..."
        traceback = plain(traceback).strip()
        if len(traceback) > _LONGEST_TRACEBACK:
            # The end of a traceback is where the error is.
            traceback = "...\n" + traceback[-(_LONGEST_TRACEBACK - 4) :]
        where = f" in cell {cell}" if cell else ""
        self.line(line or traceback or f"{name}{where}: {message}")
        error = JobError(name=plain(name)[:200], message=message, cell=cell, traceback=traceback)
        self._record(RunnerRecord(type="error", error=error))

    def _record(self, record: RunnerRecord) -> None:
        # It may stand within a line, which goes on behind it: a record must not break what the code prints.
        # Only what is not set is left out: a recorded value may be none.
        text = record.model_dump_json(exclude_unset=True)
        self._write(f"{RECORD_SEPARATOR}{text}\n".encode(errors="replace"))

    def _write(self, data: bytes) -> None:
        if self._held is not None:
            self._held.append(data)
            return
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            # Nobody reads any more, or the log's disk is full: the work itself goes on.
            return


def plain(text: str) -> str:
    """Take colours and cursor movements out of text, and write what is no character as its number."""
    return storable(_ANSI.sub("", text))


def signal_name(number: int) -> str:
    """Return what a signal is called, with a word on what it means where that helps."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    meaning = _MEANINGS.get(name)
    return f"{name} ({meaning})" if meaning else name


def no_room(error: OSError) -> bool:
    """Whether a write failed because the disk or the quota is full."""
    return error.errno in _FULL


def die_with_parent() -> None:
    """In a child before exec: have it killed when the runner is, so that nothing keeps a device of a dead job."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
