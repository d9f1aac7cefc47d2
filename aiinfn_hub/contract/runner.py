"""How far a running job is, what it uses, what happened at its start."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from .base import Answer

Scalar = bool | int | float | str | None
"""What can stand in a cell of a table."""


class Progress(Answer):
    """How far a running notebook is."""

    cell: int
    """Number of the cell being executed, from 1."""
    cells: int


class JobError(Answer):
    """What stopped a job's own code."""

    name: str
    message: str
    cell: int | None = None
    traceback: str = ""


class ResourcePoint(Answer):
    """What a job used in one stretch of time.

    Attributes
    ----------
    time
        End of the stretch, in seconds since the attempt's first. The stretch begins where the one before ends.
    cores
        Processor cores kept busy, on average.
    memory
        The most memory in use, in bytes; without what the system only caches for it.
    busy
        Per cent of the time in which its accelerators computed, the mean of all. None if nothing tells.
    accelerator_memory
        The most memory of all its accelerators together that was in use, in bytes. None if nothing tells.
    """

    time: float = Field(ge=0, allow_inf_nan=False)
    cores: float = Field(ge=0, allow_inf_nan=False)
    memory: int = Field(ge=0)
    busy: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    accelerator_memory: int | None = Field(default=None, ge=0)


class Resources(Answer):
    """Answer of ``GET jobs/{id}/resources``: what an attempt used of what it was granted.

    Attributes
    ----------
    final
        Nothing will be added.
    cores, memory
        What its size has; memory in bytes.
    accelerator_memory
        Memory of all its accelerators together, in bytes; None if the platform does not say.
    simulated
        Its accelerators are, and so have no figures.
    points
        At most `MOST_RESOURCE_POINTS`, in order.
    sentences
        The same in words: "Peak memory 3.1 of 8 GiB."
    advice
        What to choose next time, if the size is clearly wrong; only once the job is over.
    """

    attempt: int
    final: bool
    cores: float
    memory: int
    accelerator: str
    accelerator_title: str
    accelerator_memory: int | None = None
    count: int
    simulated: bool = False
    points: list[ResourcePoint] = Field(default_factory=list)
    sentences: list[str] = Field(default_factory=list)
    advice: list[str] = Field(default_factory=list)


class StartupStep(Answer):
    """Something that happened while an attempt started: "On node-3.", "Fetching “PyTorch”."."""

    time: datetime
    message: str
    code: str = ""
    facts: dict[str, Any] = Field(default_factory=dict)
    """What the message says, for programs."""


class RunnerRecord(Answer):
    """What the runner tells in its standard output, behind `constants.RECORD_SEPARATOR`."""

    type: Literal["progress", "error", "values", "resources"]
    progress: Progress | None = None
    error: JobError | None = None
    values: dict[str, Scalar] | None = None
    """Values that the job's code recorded; later ones replace earlier ones of the same name."""
    resources: ResourcePoint | None = None
    """One more stretch of time."""
