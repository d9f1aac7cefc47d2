"""The runner's end of `aiinfn_lab.recording`: a file that the job's code appends to."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import IO, Final, Self

from aiinfn_lab.recording import LONGEST_LINE, RECORDS, read
from aiinfn_lab.runner.protocol import Reporter

EVERY: Final = 0.5
"""Seconds between two looks."""


class Records:
    """Tells what the job's code records. While it is open, processes started from here find the file."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._file: IO[bytes] | None = None
        self._path: Path | None = None
        self._offset = 0
        self._looked = 0.0

    def __enter__(self) -> Self:
        try:
            # It has no name, so that nothing is left behind, however this process ends; those below open it by its number.
            self._file = tempfile.TemporaryFile(prefix="aiinfn-records-")
        except OSError:
            return self  # a full disk must not keep the job from running
        self._path = Path(f"/proc/{os.getpid()}/fd/{self._file.fileno()}")
        os.environ[RECORDS] = str(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        os.environ.pop(RECORDS, None)
        if self._path is not None:
            self._look()
        if self._file is not None:
            self._file.close()

    def look(self) -> None:
        """Report what is new, but not more often than every `EVERY` seconds."""
        if self._path is not None and time.monotonic() - self._looked >= EVERY:
            self._look()

    def _look(self) -> None:
        self._looked = time.monotonic()
        if self._path is None:
            return
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(16 * LONGEST_LINE)
        except OSError:
            return
        whole, newline, rest = data.rpartition(b"\n")
        if not newline and len(rest) < LONGEST_LINE:
            return
        self._offset += len(data) if not newline else len(whole) + 1
        values = {name: value for line in whole.split(b"\n") for name, value in read(line).items()}
        if values:
            self._reporter.values(values)
