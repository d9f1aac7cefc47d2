"""What a person should know before submitting, in sentences: pure functions of what the service and the back end know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from aiinfn_hub.contract.jobs import Check
from aiinfn_hub.contract.platform import Availability
from aiinfn_hub.contract.sweeps import SweepRequest
from aiinfn_hub.contract.units import format_duration
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.settings import BackendKind
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.vkd.backends.common.exit_outcome import plural
from aiinfn_hub.vkd.domain.backend import QueueLength


@dataclass(frozen=True, slots=True)
class QueueAhead:
    """What a person has waiting: jobs, of which a sweep is one, and points of sweeps."""

    jobs: int = 0
    points: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a request that was granted.

    Attributes
    ----------
    there
        What there is of its accelerator; None for CPU only, or while the back end does not know it.
    largest
        The most of its accelerator that one job can be given: those of the largest node. None: not known.
    mine
        What the person has waiting already.
    time_given
        Whether the request says how long it may run.
    """

    selection: Selection
    platform: Platform
    length: QueueLength
    there: Availability | None = None
    largest: int | None = None
    mine: QueueAhead = QueueAhead()
    time_given: bool = True
    sweep: SweepRequest | None = None

    @property
    def queue(self) -> str:
        """Title of the queue."""
        return self.platform.queues[self.selection.queue_name or ""].title

    @property
    def title(self) -> str:
        """Title of the accelerator."""
        return self.selection.accelerator.title if self.selection.accelerator else ""

    @property
    def quota(self) -> int | None:
        """Devices that batch may use in all; None: every one there is."""
        if self.platform.batch_backend is not BackendKind.KUBERNETES or self.selection.accelerator is None:
            return None
        return self.selection.accelerator.kubernetes.quota


def look(facts: Facts) -> list[Check]:
    """Return all findings, in the order of the contract."""
    return [
        _allowed(facts),
        _fits(facts),
        _limit(facts),
        _queue(facts),
        _time(facts),
        *_sweep(facts),
    ]


def _allowed(facts: Facts) -> Check:
    project = facts.platform.projects[facts.selection.project].title
    return _ok("allowed", _("{project} may submit it to {queue}.").format(project=project, queue=facts.queue))


def _fits(facts: Facts) -> Check:
    """Return whether it can ever start."""
    count, title, there = facts.selection.count, facts.title, facts.there
    if count == 0:
        return _ok("fits", _("It needs no accelerator."))
    if obstacle := _obstacle(facts, there.total if there else 0):
        return obstacle
    total = there.total if there else 0
    return _ok(
        "fits",
        ngettext(
            "It asks for {devices}, and there is {total} in all.",
            "It asks for {devices}, and there are {total} in all.",
            total,
        ).format(devices=plural(count, title), total=total),
    )


def _obstacle(facts: Facts, total: int) -> Check | None:
    """Explain why it cannot start, even if nobody else used anything; what is for ever comes first."""
    count, title = facts.selection.count, facts.title
    offline = facts.there.offline if facts.there else 0
    largest = total if facts.largest is None else facts.largest
    if facts.quota is not None and count > facts.quota:
        return _does_not_fit(
            _("It can never start: batch may use {quota} {title} in all.").format(
                quota=facts.quota, title=title
            ),
            _("Ask for fewer, or choose another accelerator."),
            "count",
        )
    if total == 0:
        return _does_not_fit(
            _("It cannot start now: the platform has no {title} at the moment.").format(title=title),
            _("Choose another accelerator, or ask the operators when it comes back."),
            "accelerator",
        )
    if count > total:
        return _does_not_fit(
            ngettext(
                "It cannot start: it asks for {devices}, and there is {total} in all.",
                "It cannot start: it asks for {devices}, and there are {total} in all.",
                total,
            ).format(devices=plural(count, title), total=total),
            _("Ask for {most} or less.").format(most=total),
            "count",
        )
    if count > total - offline:
        return Check(
            what="fits",
            verdict="notice",
            sentence=_("It cannot start now: {offline} of {total} {title} are out of service.").format(
                offline=offline, total=total, title=title
            ),
            hint=_("It waits until they are back; choose another accelerator if that is too long."),
            field="accelerator",
        )
    if count > largest:
        return _does_not_fit(
            _("It cannot start: it asks for {devices} on one node, and the most is {largest}.").format(
                devices=plural(count, title), largest=largest
            ),
            _("Ask for {most} or less.").format(most=largest),
            "count",
        )
    return None


def _limit(facts: Facts) -> Check:
    """Return what else the person has waiting; more than allowed was refused before."""
    limits = facts.platform.limits
    most, waiting = limits.jobs_waiting_per_person, facts.mine.jobs
    if facts.sweep is not None and facts.mine.points:
        return _ok(
            "limit",
            _("With these, {points} points of your sweeps wait; {most} may.").format(
                points=facts.mine.points + len(facts.sweep.points), most=limits.sweep_points_per_person
            ),
        )
    if waiting == 0:
        return _ok("limit", _("No other job of yours waits."))
    sentence = ngettext(
        "{waiting} other job of yours waits; {most} may.",
        "{waiting} other jobs of yours wait; {most} may.",
        waiting,
    ).format(waiting=waiting, most=most)
    if waiting + 1 < most:
        return _ok("limit", sentence)
    return Check(
        what="limit",
        verdict="notice",
        sentence=sentence,
        hint=_("This is the last one that you can submit until some have started."),
    )


def _queue(facts: Facts) -> Check:
    """Return where in line it would be, and what is free now."""
    ahead, count, title, queue = facts.length.waiting, facts.selection.count, facts.title, facts.queue
    free, total = (facts.there.free, facts.there.total) if facts.there else (0, 0)
    if ahead:
        line = _("It would be number {place} in line in {queue}.").format(place=ahead + 1, queue=queue)
    else:
        line = _("Nothing waits in {queue}.").format(queue=queue)
    if count == 0:
        return _ok("queue", line) if not ahead else _notice("queue", line)
    now = _("Of {total} {title}, {free} are free now.").format(total=total, title=title, free=free)
    # Two whole sentences, one behind the other as in every language.
    sentence = f"{line} {now}"
    return _ok("queue", sentence) if not ahead and free >= count else _notice("queue", sentence)


def _time(facts: Facts) -> Check:
    """Return after what time it is ended."""
    asked = facts.selection.time_limit
    queue = facts.platform.queues[facts.selection.queue_name or ""]
    longest = queue.max_time or facts.platform.limits.job_max
    words = {"time": format_duration(asked), "longest": format_duration(longest), "queue": queue.title}
    if not facts.time_given:
        return _ok(
            "time",
            _(
                "It is ended after {time}, since nothing else was said; {queue} allows up to {longest}."
            ).format(**words),
        )
    return _ok("time", _("It is ended after {time}; {queue} allows up to {longest}.").format(**words))


def _sweep(facts: Facts) -> Iterator[Check]:
    """Return how many points run at a time, and how long that takes at worst."""
    if facts.sweep is None:
        return
    points, parallelism = len(facts.sweep.points), min(facts.sweep.parallelism, len(facts.sweep.points))
    together = min(parallelism, _room(facts))
    words = {"points": points, "parallelism": parallelism, "together": together, "title": facts.title}
    if together < parallelism:
        yield _notice(
            "sweep",
            _(
                "Of its {points} points {parallelism} may run at a time, but the {title} that there are are enough for {together}."
            ).format(**words),
        )
    else:
        yield _ok(
            "sweep",
            ngettext(
                "It has {points} point.",
                "It has {points} points; at most {parallelism} run at a time.",
                points,
            ).format(**words),
        )
    if together and points > 1:
        longest = facts.selection.time_limit * ceil(points / together)
        yield _ok(
            "sweep",
            _("If every point needs all its time, it takes {time} of running.").format(
                time=format_duration(longest)
            ),
        )
    if same := _same(facts.sweep):
        yield Check(
            what="sweep",
            verdict="notice",
            sentence=_("The points {first} and {second} are the same.").format(first=same[0], second=same[1]),
            hint=_("Remove one, if that is not meant."),
            field="sweep",
        )


def _room(facts: Facts) -> int:
    """Count the points that all the devices together are enough for."""
    count, there = facts.selection.count, facts.there
    if count == 0:
        return len(facts.sweep.points) if facts.sweep else 0
    usable = there.total - there.offline if there else 0
    return min(usable, usable if facts.quota is None else facts.quota) // count


def _same(sweep: SweepRequest) -> tuple[int, int] | None:
    """Find the first point that was there before: its number and the earlier one's, from 1."""
    seen: dict[str, int] = {}
    for number, values in enumerate(sweep.points, 1):
        earlier = seen.setdefault(json.dumps(values, sort_keys=True), number)
        if earlier != number:
            return earlier, number
    return None


def _does_not_fit(sentence: str, hint: str, field: str) -> Check:
    return Check(what="fits", verdict="problem", sentence=sentence, hint=hint, field=field)


def _ok(what: str, sentence: str) -> Check:
    return Check.model_validate({"what": what, "verdict": "ok", "sentence": sentence})


def _notice(what: str, sentence: str) -> Check:
    return Check.model_validate({"what": what, "verdict": "notice", "sentence": sentence})
