"""What the cluster says about one pod while it starts."""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

from aiinfn_hub.kube.client import KubeClient, KubeError, path_of
from aiinfn_hub.kube.credentials import KubeConfigurationError

RETRY: Final = 1.0
"""Seconds before a broken watch is opened again."""

Json = dict[str, Any]
_shared: dict[asyncio.AbstractEventLoop, KubeClient] = {}


class PodEvents:
    """A watch on the events of one pod, open for as long as it starts.

    KubeSpawner's own reflector keeps the events of all pods of the namespace, and each open pending page sorts them all
    once a second. Here a start costs one quiet connection, and a page nothing.
    """

    def __init__(self, namespace: str, pod_name: str) -> None:
        self._path = path_of("v1", "events", namespace=namespace)
        self._selector = f"involvedObject.kind=Pod,involvedObject.name={pod_name}"
        self._news: list[Json] = []
        self._seen: set[tuple[str, str]] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to listen; a cluster that does not answer is asked again and again."""
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to listen."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def take(self, uid: str | None) -> list[Json]:
        """Return what was said since the last call about the pod with this uid.

        A pod that had the same name before may have left events; they are dropped once the new pod is known.
        """
        if uid is None:
            return []
        news, self._news = self._news, []
        return [event for event in news if event["involvedObject"].get("uid") == uid]

    async def _listen(self) -> None:
        refused = False
        while True:
            try:
                client = await shared_client()
                async with client.stream(self._path, watch="true", fieldSelector=self._selector) as lines:
                    async for line in lines:
                        self._keep(json.loads(line))
            except KubeError as error:
                # An API server that has just started refuses for a moment what it allows later.
                if error.status == HTTPStatus.FORBIDDEN and not refused:
                    refused = True
                    logging.getLogger(__name__).warning(
                        "The hub may not read events now: %s. If it stays, run `aiinfn-hub kueue apply`.",
                        error.message,
                    )
            except (KubeConfigurationError, ValueError):
                pass
            await asyncio.sleep(RETRY)

    def _keep(self, change: Json) -> None:
        event = change.get("object") or {}
        if change.get("type") not in {"ADDED", "MODIFIED"} or "involvedObject" not in event:
            return
        # A watch that was opened again tells everything once more.
        key = event["metadata"]["uid"], event["metadata"]["resourceVersion"]
        if key not in self._seen:
            self._seen.add(key)
            self._news.append(event)


async def shared_client() -> KubeClient:
    """Return the hub's own client, which all starts share."""
    loop = asyncio.get_running_loop()
    if loop not in _shared:
        client = await KubeClient.connect()
        if loop in _shared:  # somebody else was faster
            await client.close()
        else:
            _shared[loop] = client
    return _shared[loop]
