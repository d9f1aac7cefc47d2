"""Sessions' claims on devices: who is granted one, for whom batch makes room, and who waits. Sessions come first.

The decisions are pure functions. What is kept on disk is one small file per claim, written without `fsync`: a crash of
the machine ends the sessions as well.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ValidationError

from aiinfn_hub.contract.sessions import ClaimRequest, ClaimState
from aiinfn_hub.vkd.backends.common.attempt_files import LocalFiles
from aiinfn_hub.vkd.backends.common.system import boot_id, write_atomically

from .process import recognise, still

_log = logging.getLogger(__name__)


class ClaimRecord(BaseModel):
    """A claim as it is kept.

    Attributes
    ----------
    order
        Place in line: counts up with each new claim.
    asked_at
        When it was last asked for by ``PUT``.
    devices
        Empty until granted.
    ticks, boot
        The session's process as it is recognised, once it is known.
    """

    id: str
    request: ClaimRequest
    order: int
    asked_at: datetime
    devices: tuple[str, ...] = ()
    state: ClaimState = ClaimState.WAITING
    ticks: int | None = None
    boot: str = ""

    @property
    def granted(self) -> bool:
        """Whether it has its devices."""
        return self.state is ClaimState.GRANTED


@dataclass(frozen=True, slots=True)
class Victim:
    """A running job that could make room."""

    job_id: str
    devices: int
    priority: int
    started: datetime


def choose_victims(candidates: Iterable[Victim], needed: int) -> list[Victim]:
    """Choose the jobs that make room for ``needed`` devices: few, of low priority, started last.

    Whoever ran longest loses most by being stopped. Fewer are returned only if all together do not suffice.
    """
    left = list(candidates)
    chosen: list[Victim] = []
    while needed > 0 and left:
        enough = [victim for victim in left if victim.devices >= needed]
        if enough:
            victim = min(enough, key=lambda v: (v.priority, -v.started.timestamp(), v.devices))
        else:
            victim = min(left, key=lambda v: (-v.devices, v.priority, -v.started.timestamp()))
        left.remove(victim)
        chosen.append(victim)
        needed -= victim.devices
    return chosen


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done for the claims on one accelerator."""

    grant: tuple[str, ...] = ()
    states: tuple[tuple[str, ClaimState], ...] = ()
    evict: tuple[str, ...] = ()


def decide(
    waiting: Sequence[ClaimRecord], free: int, stopping: int, candidates: Sequence[Victim]
) -> Decision:
    """Decide about the claims on one accelerator that are not granted yet.

    Parameters
    ----------
    waiting
        In their order. Nobody overtakes, so that a claim on two devices is not starved by claims on one.
    free, stopping
        Devices that are free, and that jobs which were told to stop still hold.
    candidates
        Running jobs that were not told to stop yet.
    """
    left = list(candidates)
    grant: list[str] = []
    states: list[tuple[str, ClaimState]] = []
    evict: list[str] = []
    stuck = False
    for claim in waiting:
        count = claim.request.count
        if not states and count <= free:
            grant.append(claim.id)
            free -= count
            continue
        missing = count - free - stopping
        if stuck or missing > sum(victim.devices for victim in left):
            # Stopping jobs would not get it its devices, so none is stopped in vain.
            stuck = True
            states.append((claim.id, ClaimState.WAITING))
            continue
        states.append((claim.id, ClaimState.MAKING_ROOM))
        for victim in choose_victims(left, missing):
            left.remove(victim)
            evict.append(victim.job_id)
            stopping += victim.devices
        used_free = min(free, count)
        free -= used_free
        stopping -= count - used_free
    return Decision(tuple(grant), tuple(states), tuple(evict))


class ClaimStore:
    """All claims, in memory and on disk."""

    def __init__(self, files: LocalFiles) -> None:
        self._files = files
        self._claims: dict[str, ClaimRecord] = {}
        self._order = 0

    def __iter__(self) -> Iterator[ClaimRecord]:
        return iter(list(self._claims.values()))

    def load(self) -> None:
        """Read the claims from disk. Blocks."""
        for path in self._files.sessions.glob("*.json"):
            try:
                claim = ClaimRecord.model_validate_json(path.read_bytes())
            except (OSError, ValidationError):
                _log.warning("A session's claim cannot be read and is dropped: %s", path.name)
                path.unlink(missing_ok=True)
                continue
            self._claims[claim.id] = claim
            self._order = max(self._order, claim.order)

    def get(self, session_id: str) -> ClaimRecord | None:
        """Return a claim, or None."""
        return self._claims.get(session_id)

    def ask(self, session_id: str, request: ClaimRequest, now: datetime) -> ClaimRecord:
        """Write down a claim, or news of one: its process, its end."""
        known = self._claims.get(session_id)
        if known is None:
            self._order += 1
            claim = ClaimRecord(id=session_id, request=request, order=self._order, asked_at=now)
        else:
            if (
                request.pid is None
                and known.request.pid
                and still(known.request.pid, known.ticks, known.boot)
            ):
                # Asked again without its process, e.g. by a hub that was restarted: what is known of it stays.
                known_pid = {"pid": known.request.pid, "pid_started": known.request.pid_started}
                request = request.model_copy(update=known_pid)
            claim = known.model_copy(update={"request": request, "asked_at": now})
        if request.pid is not None:
            known_as = {"ticks": recognise(request.pid, request.pid_started), "boot": boot_id()}
            claim = claim.model_copy(update=known_as)
        self.save(claim)
        return claim

    def save(self, claim: ClaimRecord) -> None:
        """Keep a claim, with a changed state."""
        self._claims[claim.id] = claim
        try:
            write_atomically(
                str(self._files.claim(claim.id)), json.loads(claim.model_dump_json()), durable=False
            )
        except OSError as error:
            # The session counts for more than what a restart would know of it.
            _log.warning("A session's claim cannot be kept on disk: %s", error.strerror)

    def grant(self, session_id: str, devices: tuple[str, ...]) -> None:
        """Return a claim its devices."""
        claim = self._claims[session_id]
        self.save(claim.model_copy(update={"devices": devices, "state": ClaimState.GRANTED}))

    def set_state(self, session_id: str, state: ClaimState) -> None:
        """Note how far a claim is."""
        claim = self._claims[session_id]
        if claim.state is not state:
            self.save(claim.model_copy(update={"state": state}))

    def drop(self, session_id: str) -> ClaimRecord | None:
        """Forget a claim."""
        claim = self._claims.pop(session_id, None)
        with contextlib.suppress(OSError):
            self._files.claim(session_id).unlink(missing_ok=True)
        return claim

    def waiting(self, accelerator: str) -> list[ClaimRecord]:
        """List the claims on an accelerator that are not granted, in their order."""
        claims = [c for c in self._claims.values() if c.request.accelerator == accelerator and not c.granted]
        return sorted(claims, key=lambda claim: claim.order)

    def next_end(self, accelerator: str) -> datetime | None:
        """Return the latest moment at which the first session on an accelerator ends."""
        ends = (
            c.request.until
            for c in self._claims.values()
            if c.granted and c.request.accelerator == accelerator
        )
        return min(ends, default=None)

    def expired(self, now: datetime, patience: float) -> list[str]:
        """List the claims whose session is gone, or never came within ``patience`` seconds."""
        return [claim.id for claim in self._claims.values() if _is_over(claim, now, patience)]


def _is_over(claim: ClaimRecord, now: datetime, patience: float) -> bool:
    request = claim.request
    if request.pid is None:
        return (now - claim.asked_at).total_seconds() > patience
    return not still(request.pid, claim.ticks, claim.boot)
