"""What the back ends say to sessions that ask for devices."""

from __future__ import annotations

from datetime import datetime

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sessions import ClaimRequest
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.messages import clock_time
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.platform import Platform


def requested_accelerator(platform: Platform, request: ClaimRequest) -> Accelerator:
    """Return the accelerator that a session asks for.

    Raises
    ------
    Refusal
        If the platform file in force here does not have it.
    """
    accelerator = platform.accelerators.get(request.accelerator)
    if accelerator is None:
        raise Refusal(
            Reason.UNKNOWN,
            _("There is no accelerator {name} here.").format(name=request.accelerator),
            _("Choose another on the form."),
            field="accelerator",
        )
    return accelerator


def waiting(devices: str, end: datetime | None) -> str:
    """Return the sentence for a session that waits for others to end; ``end`` is when the first does."""
    if end is None:
        return _("Waiting for {devices}: all are in use by sessions.").format(devices=devices)
    return _(
        "Waiting for {devices}: all are in use by sessions. The first ends at {time} at the latest."
    ).format(devices=devices, time=clock_time(end))


def making_room(title: str, seconds: float) -> str:
    """Return the sentence for a session for which a job is preempted."""
    return _("A batch job is making room on {title}: about {seconds} s.").format(
        title=title, seconds=f"{seconds:.0f}"
    )
