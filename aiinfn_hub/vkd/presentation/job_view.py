"""What is kept and known, as the API shows it to one person. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from aiinfn_hub.contract.jobs import HistoryEntry, Job, JobAction, Work
from aiinfn_hub.contract.platform import (
    AcceleratorChoice,
    Availability,
    AvailabilityReading,
    Choice,
    PlatformView,
    ProjectChoice,
    QueueChoice,
    SizeChoice,
)
from aiinfn_hub.contract.runner import StartupStep
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.contract.sweeps import SweepPoint
from aiinfn_hub.contract.units import format_quantity, parse_duration
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.platform.gate import Offer
from aiinfn_hub.platform.model.fields import CPU_ONLY
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import simulated_devices
from aiinfn_hub.vkd.domain.backend import QueueLength
from aiinfn_hub.vkd.domain.records import HistoryRow, StoredJob

from . import status_text

POLL_SECONDS: Final = 2.0

try:
    VERSION = version("aiinfn")
except PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "unknown"


def simulated(name: str, declared: int, reading: AvailabilityReading) -> bool:
    """Return whether an accelerator's devices are pretended: the back end knows, else the platform file says."""
    for entry in reading.accelerators:
        if entry.accelerator == name and entry.simulated is not None:
            return entry.simulated
    return declared > 0


def job(
    stored: StoredJob,
    person: Person,
    platform: Platform,
    position: int | None,
    reading: AvailabilityReading,
    reason: Message | None = None,
) -> Job:
    """Show a job; ``position`` and ``reason`` tell where in line it is and why it waits.

    What was granted is read as plain JSON, so that jobs of an older version still show.
    """
    granted: Mapping[str, Any] = stored.selection
    device: Mapping[str, Any] = granted.get("accelerator") or {}
    queue = platform.queues.get(stored.queue)
    limit = parse_duration(granted["time_limit"])
    by = stored.cancelled_by
    mine = stored.owner == person.name
    line = queue.title if queue else stored.queue
    canceller = "" if by == stored.owner else by
    actions: list[JobAction | str] = []
    if not stored.final and by is None:
        actions.append("cancel")
    if stored.final and mine:
        actions.append("rerun")
    if may_edit(stored, person):
        if stored.final and stored.sweep_of is None:
            actions.append("delete")
        actions.append("edit")
    message = (
        status_text.sweep(stored.state, stored.cause, stored.sweep, queue=line, cancelled_by=canceller)
        if stored.sweep
        else status_text.job(
            stored.state,
            stored.cause,
            position=position,
            reason=reason,
            progress=stored.progress,
            attempt=stored.attempt,
            error=stored.error,
            exit_code=stored.exit_code,
            time_limit=limit,
            queue=line,
            cancelled_by=canceller,
            told=stored.message,
        )
    )
    return Job(
        id=stored.id,
        name=stored.name,
        owner=stored.owner,
        project=stored.project,
        queue=stored.queue,
        state=stored.state,
        final=stored.final,
        cause=stored.cause,
        sentence=str(message),
        code=message.code,
        facts=message.plain_facts(),
        position=position if stored.state is JobState.QUEUED else None,
        accelerator=stored.accelerator,
        accelerator_title=device.get("title") or "CPU only",
        simulated=bool(stored.count) and simulated(stored.accelerator, simulated_devices(granted), reading),
        count=stored.count,
        image=granted["image_name"],
        size=granted["size_name"],
        priority=granted["priority"],
        time_limit=int(limit.total_seconds()),
        work=Work.model_validate(stored.work),
        output=stored.output,
        attempt=stored.attempt,
        preemptions=stored.preemptions,
        progress=stored.progress,
        error=stored.error,
        exit_code=stored.exit_code,
        created=stored.created,
        started=stored.started,
        ended=stored.ended,
        updated=stored.updated,
        rerun_of=stored.rerun_of,
        sweep=stored.sweep,
        sweep_of=stored.sweep_of,
        point=stored.point,
        values=stored.recorded,
        pinned=stored.pinned,
        kept_until=kept_until(stored, platform),
        actions=actions,
        **stored.description,
    )


def unreadable(stored: StoredJob) -> Job:
    """Show a job of which what is kept makes no sense, so that it hides no other."""
    nothing = Work(kind="script", path="unknown", snapshot="unknown")
    message = Message("state.unreadable")
    return Job(
        id=stored.id,
        name=str(stored.name),
        owner=stored.owner,
        project=stored.project,
        queue=stored.queue,
        state=stored.state,
        final=stored.final,
        cause=stored.cause,
        sentence=str(message),
        code=message.code,
        accelerator=stored.accelerator,
        accelerator_title=stored.accelerator,
        count=stored.count,
        image="",
        size="",
        priority=0,
        time_limit=0,
        work=nothing,
        output="",
        attempt=stored.attempt,
        preemptions=stored.preemptions,
        created=stored.created,
        started=stored.started,
        ended=stored.ended,
        updated=stored.updated,
        sweep_of=stored.sweep_of,
        point=stored.point,
        actions=[] if stored.final or stored.cancelled_by is not None else ["cancel"],
    )


def may_edit(stored: StoredJob, person: Person) -> bool:
    """Return whether somebody may change and delete a job: its owner and operators."""
    return stored.owner == person.name or person.admin


def kept_until(stored: StoredJob, platform: Platform) -> datetime | None:
    """Return when a job is deleted by itself; None if that is not known, or never."""
    if stored.ended is None or stored.pinned or stored.sweep_of is not None:
        return None
    return stored.ended + platform.limits.keep_jobs


def point(stored: StoredJob, shown: Job, *, carried: bool) -> SweepPoint:
    """Show a point in the table of its sweep."""
    return SweepPoint(
        point=stored.point or 0,
        job=stored.id,
        state=stored.state,
        final=stored.final,
        sentence=shown.sentence,
        code=shown.code,
        facts=shown.facts,
        parameters=stored.swept or {},
        values=stored.recorded,
        attempt=stored.attempt,
        started=stored.started,
        ended=stored.ended,
        output=stored.output,
        carried=carried,
    )


def history(rows: Sequence[HistoryRow]) -> list[HistoryEntry]:
    """Show a job's history, oldest first."""
    return [
        HistoryEntry(
            time=row.time,
            state=row.state,
            cause=row.cause,
            attempt=row.attempt,
            message=str(row.message),
            code=row.message.code,
            facts=row.message.plain_facts(),
            startup=[
                StartupStep(
                    time=event.time,
                    message=str(event.message),
                    code=event.message.code,
                    facts=event.message.plain_facts(),
                )
                for event in row.startup
            ],
        )
        for row in rows
    ]


def aged(
    reading: AvailabilityReading, names: frozenset[str] | None = None, platform: str = ""
) -> AvailabilityReading:
    """Return a reading with its age now and the state of the platform file; only some accelerators if names are given."""
    age = max(0.0, (datetime.now(UTC) - reading.read_at).total_seconds())
    chosen = [entry for entry in reading.accelerators if names is None or entry.accelerator in names]
    return AvailabilityReading(
        accelerators=chosen,
        read_at=reading.read_at,
        age=age,
        platform=platform,
        notices=reading.notices if names is None else [],
    )


def queues(offer: Offer, lengths: Mapping[str, QueueLength]) -> list[QueueChoice]:
    """Show the queues that somebody may use."""
    choices = []
    for name, queue in offer.queues.items():
        devices = [
            device
            for device in (CPU_ONLY, *offer.accelerators)
            if any(name in offer.queues_of(project, device) for project in offer.projects_of(device))
        ]
        length = lengths.get(name, QueueLength())
        choices.append(
            QueueChoice(
                name=name,
                title=queue.title,
                description=queue.description,
                projects=[p for p in offer.projects if queue.projects is None or p in queue.projects],
                accelerators=devices,
                priority=queue.priority,
                max_time=int(offer.job_max(name).total_seconds()),
                queued=length.waiting,
                running=length.running,
            )
        )
    return choices


def platform(offer: Offer, reading: AvailabilityReading, lengths: Mapping[str, QueueLength]) -> PlatformView:
    """Show the platform to somebody."""
    person, whole = offer.person, offer.platform
    now = aged(reading)
    known = {entry.accelerator: entry for entry in now.accelerators}
    managed = person.managed_projects(whole)
    devices = (CPU_ONLY, *offer.accelerators)
    return PlatformView(
        title=whole.title,
        version=VERSION,
        backend=whole.batch_backend.value,
        user=person.name,
        admin=person.admin,
        accelerators=[
            AcceleratorChoice(
                name=name,
                title=device.title,
                description=device.description,
                kind=device.kind.value,
                kind_title=device.kind.heading,
                memory=format_quantity(device.memory) if device.memory else None,
                max_per_session=device.max_per_session,
                max_per_job=offer.most(name),
                simulated=simulated(name, device.local.simulated, reading),
                projects=list(offer.projects_of(name)),
                images=_union(offer.images_of(project, name) for project in offer.projects_of(name)),
                availability=known.get(name) or _nothing(name),
            )
            for name, device in offer.accelerators.items()
        ],
        images=[
            Choice(name=name, title=image.title, description=image.description)
            for name, image in offer.images.items()
        ],
        sizes=[
            SizeChoice(name=name, title=size.title, cores=size.cores, memory=format_quantity(size.memory))
            for name, size in offer.sizes.items()
        ],
        projects=[
            ProjectChoice(
                name=name,
                title=project.title,
                manager=name in managed,
                sizes=list(offer.sizes_of(name)),
                images=_union(offer.images_of(name, device) for device in devices),
                accelerators=list(offer.accelerators_of(name)),
            )
            for name, project in offer.projects.items()
        ],
        queues=queues(offer, lengths),
        default_time_limit=int(whole.limits.job_default.total_seconds()),
        keep_jobs=int(whole.limits.keep_jobs.total_seconds()),
        max_pinned_jobs=whole.limits.pinned_jobs_per_person,
        poll_interval=POLL_SECONDS,
        read_at=now.read_at,
        age=now.age,
    )


def _nothing(name: str) -> Availability:
    return Availability(accelerator=name, total=0, free=0, sessions=0, batch=0, queued=0)


def _union(groups: Any) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))
