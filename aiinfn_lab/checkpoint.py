"""Where a job keeps what it needs to go on after it made room for a session.

A job that is preempted starts again from the beginning of its file. The folder stays, so it can look there first. It is
deleted when the job succeeds. ``AIINFN_CHECKPOINTS`` names it, for any language. Before a job is ended it gets SIGTERM, and
has the platform's grace period (10 s as a rule) to write its last state; a notebook's kernel cannot count on that, so
a notebook writes its state as it goes.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

FOLDER: Final = "AIINFN_CHECKPOINTS"
"""Environment variable with the path of the folder; not set outside of a job."""


def folder() -> Path:
    """Return the folder of this job's checkpoints; it exists. Outside of a job it is a temporary one of this process."""
    path = os.environ.get(FOLDER)
    if path is None:
        # Set, so that the next call gives the same.
        path = os.environ[FOLDER] = tempfile.mkdtemp(prefix="aiinfn-checkpoints-")
    return Path(path)


def write(name: str, data: bytes) -> None:
    """Write a file in the folder so that it is either the old one or the new one, whenever the job is ended."""
    target = folder() / name
    draft = target.with_name(f".{name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)


def read(name: str) -> bytes | None:
    """Return what an earlier attempt wrote, or None at the first."""
    try:
        return (folder() / name).read_bytes()
    except FileNotFoundError:
        return None
