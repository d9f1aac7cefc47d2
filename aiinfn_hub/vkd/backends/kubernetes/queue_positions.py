"""Positions in the queues, as Kueue reports them: asked when something changed, once a second at most, never per request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiinfn_hub.kube import names
from aiinfn_hub.kube.client import KubeClient, KubeError
from aiinfn_hub.kube.objects.jobs import pending_path
from aiinfn_hub.platform.model.platform import Platform

_log = logging.getLogger(__name__)
_PAUSE: Final = 1.0
_ANYWAY: Final = 10.0
"""Seconds after which it is asked without a change: use decays, and the order with it."""
_MOST: Final = 10_000
_JOB_NAME: Final = names.job_name("")


class QueuePositions:
    """The place of each waiting job in its queue, from 1.

    Parameters
    ----------
    waits
        Tells whether a job waits: the answer may be older than what is known.
    lines
        Returns the projects whose jobs wait in a queue. Each has a LocalQueue, and Kueue tells of each job in one its place
        in the whole queue. (Of all at once it tells only those who may see every namespace.)

    Attributes
    ----------
    places
        A new mapping after each change, never changed itself.
    """

    def __init__(
        self,
        client: KubeClient,
        platform: Platform,
        waits: Callable[[str], bool],
        lines: Callable[[str], Iterable[str]],
    ) -> None:
        self._client = client
        self._platform = platform
        self._waits = waits
        self._lines = lines
        self._by_queue: dict[str, dict[str, int]] = {}
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._complained = False
        self.places: Mapping[str, int] = {}

    def adopt(self, platform: Platform) -> None:
        """Load a changed platform file."""
        self._platform = platform

    def touch(self, queue: str) -> None:
        """Note that the order of a queue may have changed."""
        self._changed.add(queue)
        self._wake.set()

    def drop(self, queue: str, job_id: str) -> None:
        """Take out a job that waits no more; who is behind it moves up when Kueue says so."""
        if self._by_queue.get(queue, {}).pop(job_id, None) is not None:
            self._publish()

    async def run(self) -> None:
        """Keep them up to date until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_ANYWAY):
                    await self._wake.wait()
            except TimeoutError:
                self._changed.update(queue for queue, places in self._by_queue.items() if places)
            self._wake.clear()
            queues, self._changed = sorted(self._changed & set(self._platform.queues)), set()
            for queue in queues:
                await self._refresh(queue)
            await asyncio.sleep(_PAUSE)

    async def _refresh(self, queue: str) -> None:
        paths = [pending_path(self._platform, queue, project) for project in self._lines(queue)]
        try:
            answers = await asyncio.gather(*(self._client.get(path, limit=_MOST) for path in paths))
        except KubeError as error:
            # While Kueue is away nobody moves: what it said last still holds.
            self._changed.add(queue)
            self._wake.set()
            if not self._complained:
                _log.warning("places in the queue not known status=%d reason=%s", error.status, error.reason)
            self._complained = True
            return
        self._complained = False
        places = {
            job_id: place for answer in answers for job_id, place in _places(answer) if self._waits(job_id)
        }
        if places != self._by_queue.get(queue, {}):
            self._by_queue[queue] = places
            self._publish()

    def _publish(self) -> None:
        self.places = {job: place for places in self._by_queue.values() for job, place in places.items()}


def _places(answer: Any) -> Iterable[tuple[str, int]]:
    for item in answer.get("items") or ():
        for owner in item["metadata"].get("ownerReferences") or ():
            name = str(owner.get("name", ""))
            if name.startswith(_JOB_NAME):
                yield name.removeprefix(_JOB_NAME), int(item["positionInClusterQueue"]) + 1
