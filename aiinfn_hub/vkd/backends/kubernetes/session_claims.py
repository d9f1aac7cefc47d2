"""Claims of sessions: batch is preempted through Kueue just before a session's pod is created.

kube-scheduler decides who runs where, and evicts batch for a session by itself. But the Job controller punishes a job that
kube-scheduler evicted with a growing delay, and one that Kueue evicted not at all. So the hub says a moment before that a
session comes, and the jobs that kube-scheduler would evict are deactivated in Kueue. They wait until the session has its
node, and go back to their places in the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sessions import Claim, ClaimRequest, ClaimState
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.kube import names
from aiinfn_hub.kube.inventory import ClusterInventory
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.backends.common.exit_outcome import plural
from aiinfn_hub.vkd.backends.common.session_claims import making_room, requested_accelerator, waiting

from .facts import Cluster
from .preemption import Relief, VictimChoice, choose
from .reconciler import Reconciler

_log = logging.getLogger(__name__)
ANSWER: Final = 0.8
"""Seconds in which a claim is answered, whether the jobs end or not: no session waits for vkd."""
HOLD: Final = 30.0
"""Seconds that jobs are kept away for a session whose pod does not come."""
SETTLE: Final = 0.5
"""Seconds from the session's pod having its node until Kueue has surely subtracted it."""


@dataclass(slots=True, eq=False)
class _Held:
    """A claim.

    Attributes
    ----------
    open
        Its session's pod may still come: nobody else may count on its devices.
    """

    id: str
    request: ClaimRequest
    accelerator: Accelerator
    choice: VictimChoice = field(default_factory=lambda: VictimChoice(Relief.NONE))
    open: bool = True
    task: asyncio.Task[None] | None = None

    @property
    def slug(self) -> str:
        return names.slug(self.id)

    @property
    def jobs(self) -> set[str]:
        return {pod.job for pod in self.choice.victims} if self.open else set()


class SessionClaims:
    """The sessions that are about to start, and those that were granted."""

    def __init__(
        self,
        platform: Platform,
        inventory: ClusterInventory,
        cluster: Cluster,
        director: Reconciler,
    ) -> None:
        self._platform = platform
        self._inventory = inventory
        self._cluster = cluster
        self._director = director
        self._claims: dict[str, _Held] = {}
        self._changed = asyncio.Event()

    def adopt(self, platform: Platform, inventory: ClusterInventory) -> None:
        """Load a changed platform file, and to what its accelerators are counted by."""
        self._platform, self._inventory = platform, inventory
        self.poke()

    def poke(self) -> None:
        """Note that there is news of a pod."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _news(self) -> None:
        await self._changed.wait()

    def holds(self, job_id: str) -> bool:
        """Return whether a job is kept from running for a session."""
        return any(job_id in claim.jobs for claim in self._claims.values())

    async def claim(self, session_id: str, request: ClaimRequest) -> Claim:
        """Make room for a session; answers within `ANSWER` seconds.

        Raises
        ------
        Refusal
            If no node has so many of these devices.
        """
        accelerator = requested_accelerator(self._platform, request)
        known = self._claims.get(session_id)
        if known is not None and known.request != request:
            self.release(session_id)
            known = None
        if known is None:
            self._check(request, accelerator.title)
            known = self._claims[session_id] = _Held(session_id, request, accelerator)
            known.task = asyncio.create_task(self._hold(known))
            known.choice = self._choose(known)
            if known.choice.room is Relief.BY_EVICTION:
                await self._make_room(known)
        return self._view(known)

    def _check(self, request: ClaimRequest, title: str) -> None:
        most = self._inventory.largest(request.accelerator)
        if request.count > most:
            none = _("{devices} cannot be had: no node has one now.")
            few = _("{devices} cannot be had: no node has more than {most}.")
            raise Refusal(
                Reason.CAPACITY,
                (few if most else none).format(devices=plural(request.count, title), most=most),
                _("Choose another accelerator or fewer of it, or start without one."),
                field="accelerator",
            )

    def _choose(self, claim: _Held) -> VictimChoice:
        name = claim.request.accelerator
        promised: Counter[str] = Counter()
        for other in self._claims.values():
            if other is not claim and other.open and other.request.accelerator == name and other.choice.node:
                promised[other.choice.node] += other.request.count
        return choose(
            self._inventory.places(name), claim.accelerator.kubernetes.resource, claim.request.count, promised
        )

    async def _make_room(self, claim: _Held) -> None:
        """Preempt the jobs, and wait until they end, but not for long."""
        director = self._director
        victims = claim.choice.victims
        try:
            async with asyncio.timeout(ANSWER):
                # Shielded: half an order is none.
                await asyncio.shield(asyncio.gather(*(director.yield_place(pod.job) for pod in victims)))
                while any(self._stays(pod.job, pod.uid) for pod in victims):
                    await self._news()
        except TimeoutError:
            _log.info("jobs are slow to make room session=%s jobs=%d", claim.id, len(victims))

    def _stays(self, job_id: str, uid: str) -> bool:
        pod = self._cluster.of(job_id).pods.get(uid)
        return pod is not None and not pod.ending and not pod.over

    async def _hold(self, claim: _Held) -> None:
        """Keep the jobs away until the session has its node, or does not come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD):
                while not self._inventory.is_bound(claim.slug):
                    await self._news()
                await asyncio.sleep(SETTLE)
        self._let_back(claim)

    def _let_back(self, claim: _Held) -> None:
        jobs, claim.open = claim.jobs, False
        for job_id in jobs:
            self._director.mark(job_id)

    def release(self, session_id: str) -> None:
        """Forget a claim. The session's devices are free when its pod is gone."""
        claim = self._claims.pop(session_id, None)
        if claim is not None:
            if claim.task is not None:
                claim.task.cancel()
            self._let_back(claim)

    def state(self, session_id: str) -> Claim | None:
        """Return how far a claim is."""
        claim = self._claims.get(session_id)
        return self._view(claim) if claim else None

    def _view(self, claim: _Held) -> Claim:
        request = claim.request
        title = claim.accelerator.title
        wanted = plural(request.count, title)
        if self._inventory.is_bound(claim.slug):
            return Claim(
                id=claim.id, state=ClaimState.GRANTED, sentence=_("Has its {devices}.").format(devices=wanted)
            )
        # Before its pod is bound, it has no more than good prospects.
        now, position = self._prospects(claim)
        if now.room is Relief.FREE:
            return Claim(
                id=claim.id,
                state=ClaimState.GRANTED,
                sentence=_("Starts on {devices}.").format(devices=wanted),
            )
        if now.room is Relief.NONE:
            end = self._inventory.next_session_end(request.accelerator)
            return Claim(
                id=claim.id,
                state=ClaimState.WAITING,
                sentence=waiting(wanted, end),
                position=position,
            )
        seconds = self._platform.limits.grace.total_seconds()
        return Claim(
            id=claim.id,
            state=ClaimState.MAKING_ROOM,
            sentence=making_room(title, seconds),
        )

    def _prospects(self, claim: _Held) -> tuple[VictimChoice, int]:
        """Return where a session would get its devices after those that came before it, and its place among those that wait.

        kube-scheduler takes pending pods of one priority as they came, and lets pass who fits where an earlier one does not.
        """
        name, resource = claim.request.accelerator, claim.accelerator.kubernetes.resource
        promised: Counter[str] = Counter()
        position = 1
        for other in self._claims.values():
            if other is claim:
                break
            if other.request.accelerator != name or not self._comes(other):
                continue
            choice = choose(self._inventory.places(name), resource, other.request.count, promised)
            if choice.room is Relief.NONE:
                position += 1
            else:
                promised[choice.node] += other.request.count
        return choose(self._inventory.places(name), resource, claim.request.count, promised), position

    def _comes(self, claim: _Held) -> bool:
        """Return whether a session still waits for its node."""
        if self._inventory.is_bound(claim.slug):
            return False
        return claim.open or self._inventory.is_pending(claim.slug)

    async def close(self) -> None:
        """Stop; the next vkd lets the jobs back that this one held."""
        for claim in self._claims.values():
            if claim.task is not None:
                claim.task.cancel()
