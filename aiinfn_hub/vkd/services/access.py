"""Jobs of people whose access was withdrawn: those that wait are held, and those that run are stopped when the hub says so.

The hub, which asks IAM, gives the whole list each time; vkd keeps it, so that a restart lets nothing run that is held. A held
job stays queued with its place of arrival, and goes on when its hold is lifted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from aiinfn_hub.contract.access import AccessReading, Hold, HoldReading, HoldReason
from aiinfn_hub.contract.states import JobState
from aiinfn_hub.i18n.messages import Message
from aiinfn_hub.vkd.database import holds
from aiinfn_hub.vkd.database.jobs import JobStore
from aiinfn_hub.vkd.domain.backend import Holds, JobBackend
from aiinfn_hub.vkd.domain.records import StoredJob

logger = logging.getLogger(__name__)

_WORDS: Final = {
    HoldReason.WITHDRAWN: Message("reason.held.withdrawn"),
    HoldReason.UNCONFIRMED: Message("reason.held.unconfirmed"),
    HoldReason.PROJECT: Message("reason.held.project"),
}


class AccessHolds:
    """Keeps the holds, and tells the back end."""

    def __init__(self, store: JobStore, backend: JobBackend) -> None:
        self._store = store
        self._backend = backend
        self._holds: dict[tuple[str, str], Hold] = {}
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Pass the holds that the store knows to the back end, before anything starts."""
        self._holds = {(hold.owner, hold.project): hold for hold in await holds.load(self._store)}
        await self._tell()

    async def reading(self) -> AccessReading:
        """Return the holds, and who has jobs that are not over."""
        jobs = await holds.active_projects(self._store)
        held = [HoldReading(**hold.model_dump()) for hold in self._holds.values()]
        return AccessReading(holds=held, jobs=jobs)

    async def replace(self, new: Sequence[Hold]) -> None:
        """Put other holds in force; idempotent."""
        async with self._lock:
            wanted = {(hold.owner, hold.project): hold for hold in new}
            if wanted == self._holds:
                return
            changed = {
                key[0]
                for key in wanted.keys() | self._holds.keys()
                if wanted.get(key) != self._holds.get(key)
            }
            await holds.replace(self._store, list(wanted.values()), sorted(changed))
            for key in sorted(wanted.keys() - self._holds.keys()):
                logger.info("jobs held owner=%s project=%s reason=%s", *key, wanted[key].reason)
            for key in sorted(self._holds.keys() - wanted.keys()):
                logger.info("jobs go on owner=%s project=%s", *key)
            self._holds = wanted
            await self._tell()

    def reason(self, stored: StoredJob) -> Message | None:
        """Explain why a job is held, as the end of a sentence; None if it is not."""
        if stored.state is not JobState.QUEUED:
            return None
        hold = self._holds.get((stored.owner, "")) or self._holds.get((stored.owner, stored.project))
        return _WORDS[hold.reason] if hold else None

    async def _tell(self) -> None:
        await self._backend.hold(Holds({key: hold.stop for key, hold in self._holds.items()}))
