"""What happens while a pod starts, out of Kubernetes' events: few fields of each, and the message for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiinfn_hub.kube import names
from aiinfn_hub.kube.objects.jobs import moment
from aiinfn_hub.kube.reasons import pod_reasons
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.vkd.domain.backend import StartupEvent

_JOB_NAME: Final = names.job_name("")
_STEPS: Final = frozenset({"placed", "image", "starting"})
_LONGEST: Final = 1000
"""Characters of an event's message that are kept."""


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What is kept of an event about a pod of a job. How often it was repeated is no news.

    Attributes
    ----------
    pod
        Its uid.
    time
        When it was first said.
    """

    pod: str
    job_id: str
    time: datetime
    said: pod_reasons.Statement


def read_event(item: Mapping[str, Any]) -> EventFacts | None:
    """Read an event; None if it is not about a pod of one of our Jobs."""
    about = item.get("involvedObject") or {}
    name = str(about.get("name") or "")
    if about.get("kind") != "Pod" or not name.startswith(_JOB_NAME):
        return None
    metadata = item["metadata"]
    time = moment(item.get("firstTimestamp") or item.get("eventTime") or metadata.get("creationTimestamp"))
    if time is None:
        return None
    said = pod_reasons.of_event(dict(item))
    return EventFacts(
        pod=str(about.get("uid") or ""),
        # Kubernetes adds its own ending to the Job's name.
        job_id=name.removeprefix(_JOB_NAME).rpartition("-")[0],
        time=time,
        said=said._replace(message=said.message[:_LONGEST]),
    )


def step_of(event: EventFacts, selection: Selection, platform: Platform) -> StartupEvent | None:
    """Explain what an event tells of a job's start; None if it tells nothing of that."""
    found = pod_reasons.explain(event.said, pod_reasons.words_of(selection, platform))
    if found is None or found.step not in _STEPS:
        return None
    return StartupEvent(event.time, found.told)
