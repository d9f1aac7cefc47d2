"""What was granted: the only input of everything that starts a session or a job."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from aiinfn_hub.contract.units import Duration
from aiinfn_hub.i18n.language import marked

from .model.accelerators import Accelerator
from .model.images import Image
from .model.projects import Size


class Door(StrEnum):
    """Which way a request came in."""

    SESSION = "session"
    JOB = "job"


DOORS: Final = {Door.SESSION: marked("session"), Door.JOB: marked("job")}
"""Each as people call it."""


class Selection(BaseModel):
    """A granted request, complete: a session and a job are two projections of it.

    It carries the granted sections of the platform file itself, so that a queued job keeps what it was granted when
    the file changes.

    Attributes
    ----------
    accelerator, accelerator_name
        None, and ``none``, for CPU only.
    count
        Devices; 0 exactly when there is no accelerator.
    queue_name
        None for a session.
    priority
        That of the queue; 0 for a session.
    time_limit
        After this time from its start it is ended.
    storage
        Names of the storage it sees; None, in what an older version granted, for all that is open to the project.
    """

    model_config = ConfigDict(frozen=True)

    door: Door
    person: str
    project: str
    image_name: str
    image: Image
    size_name: str
    size: Size
    accelerator_name: str
    accelerator: Accelerator | None
    count: int
    queue_name: str | None
    priority: int
    time_limit: Duration
    storage: tuple[str, ...] | None = None


def simulated_devices(kept: Mapping[str, Any]) -> int:
    """Return how many devices of a selection's accelerator are simulated, out of the selection as it is kept.

    For lists, which read thousands of them; an older version kept the number one level higher.
    """
    device = kept.get("accelerator") or {}
    return int((device.get("local") or device).get("simulated") or 0)
