"""The logs of all attempts: begun, followed, and ended with what the runner said last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from aiinfn_hub.kube.client import KubeClient
from aiinfn_hub.kube.objects import jobs
from aiinfn_hub.platform.model.platform import Platform

from .archive import ArchivedPart, LogArchive
from .attempt_files import KubernetesFiles
from .facts import Cluster, JobPodFacts
from .job_state import ReconcileState
from .lifecycle import Step
from .log_stream import LogFollower

_log = logging.getLogger(__name__)
LOG_LIMIT: Final = 128 * 2**20
"""Bytes of an attempt's log that are kept."""
_PATIENCE: Final = 12.0
"""Seconds that the end of an attempt waits for the end of its log, which says why."""


class LogCollector:
    """One follower for each running attempt.

    Parameters
    ----------
    told
        Called with a job, the number of its attempt, and what the runner told.
    """

    def __init__(
        self,
        platform: Platform,
        client: KubeClient,
        cluster: Cluster,
        files: KubernetesFiles,
        limit: int,
        told: Callable[[ReconcileState, int, ArchivedPart], None],
    ) -> None:
        self._platform = platform
        self._client = client
        self._cluster = cluster
        self._files = files
        self._limit = limit
        self._told = told

    def follow(self, track: ReconcileState) -> None:
        """Follow the attempt in progress; one that is followed already is left alone."""
        pod = self._cluster.of(track.id).pods.get(track.pod)
        if pod is not None and pod.started is not None:
            self.start(track, pod, track.attempt)

    def start(self, track: ReconcileState, pod: JobPodFacts, attempt: int) -> None:
        """Follow the log of a pod."""
        if track.followed == attempt:
            return
        track.followed = attempt
        track.follower = LogFollower(
            self._client,
            jobs.pods_path(self._platform, pod.name, "log"),
            LogArchive(self._files.attempt(track.id, attempt), pod.uid, self._limit),
            lambda: self._cluster.of(track.id).pods.get(pod.uid),
            lambda told: self._told(track, attempt, told),
        )

    async def end(self, track: ReconcileState, step: Step, pod: JobPodFacts | None) -> dict[str, Any]:
        """Wait until an attempt's log is archived, and give what the runner told in it."""
        if not step.pod:
            return {}
        if pod is not None and pod.started is not None:
            self.start(track, pod, step.attempt)
        if track.follower is not None and track.followed == step.attempt:
            track.follower.poke()
            try:
                async with asyncio.timeout(_PATIENCE):
                    await track.follower.done.wait()
            except TimeoutError:
                _log.warning("log not complete job=%s attempt=%d", track.id, step.attempt)
                await track.follower.stop()
            track.follower = None
        folder = self._files.attempt(track.id, step.attempt)
        return await asyncio.to_thread(folder.read_records)
