"""The start of one pod, from its creation until it runs or cannot any more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, ClassVar, Final

import aiohttp

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import Sentence, ngettext
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.kube.reasons import pod_reasons
from aiinfn_hub.kube.reasons.pod_reasons import Statement
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.spawner.context import SpawnContext

from .pod_events import PodEvents
from .spawn_progress import SpawnProgress

LOOK: Final = 0.2
"""Seconds between two looks at the pod, in what the hub's watch on pods has; the cluster is not asked for it."""

UNKNOWN: Final = 2.0
"""Seconds after which a pod that was created should be known."""

Json = dict[str, Any]


class PodStart:
    """Tells the pending page what happens to a pod, and ends a start that cannot succeed.

    Parameters
    ----------
    told
        Gets the sentences.
    log
        Gets Kubernetes' own words, for the operators.

    Attributes
    ----------
    uid
        Of the pod; None until it is created.
    """

    image_sizes: ClassVar[dict[str, int]] = {}
    """Bytes of images that were fetched to some node while the hub runs, by reference."""

    def __init__(
        self,
        session: str,
        selection: Selection,
        context: SpawnContext,
        told: SpawnProgress,
        log: logging.Logger,
    ) -> None:
        self.uid: str | None = None
        self._seen: str | None = None
        self._session, self._selection, self._context = session, selection, context
        self._told, self._log = told, log
        size = self.image_sizes.get(selection.image.kubernetes.reference)
        self._words = pod_reasons.words_of(selection, context.platform, size)

    async def until_running(
        self,
        namespace: str,
        name: str,
        look: Callable[[], Json | None],
        is_running: Callable[[Json], bool],
        refresh: Callable[[], Awaitable[None]],
    ) -> Json:
        """Follow the pod, and give it once it runs.

        Parameters
        ----------
        look
            Returns the pod of this name as it is known now.
        refresh
            Called when a pod that was created stays unknown.

        Raises
        ------
        Refusal
            If it ended, or cannot start.
        """
        said, unknown = None, 0.0
        async with PodEvents(namespace, name) as events:
            while True:
                for event in events.take(self.uid):
                    self.hear(pod_reasons.of_event(event))
                pod = self._own(look())
                if pod is not None:
                    if pod["status"].get("podIP") and is_running(pod):
                        return pod
                    statements = list(pod_reasons.of_pod(pod))
                    if statements != said:
                        said = statements
                        self._give_up_at_the_end(statements)
                        # What matters most is told last.
                        for statement in reversed(statements):
                            self.hear(statement)
                        await self._give_up_without_a_node(statements)
                elif self.uid is not None and (unknown := unknown + LOOK) > UNKNOWN:
                    unknown = 0.0
                    await refresh()
                await asyncio.sleep(LOOK)

    async def until_answering(self, url: str, look: Callable[[], Json | None], seconds: float) -> None:
        """Wait until the server in the pod answers; the hub would look less and less often, and not at the pod.

        Parameters
        ----------
        seconds
            That it may take.

        Raises
        ------
        Refusal
            If the pod ended, or the time is over.
        """
        image = self._selection.image.title
        self._told.tell("starting", Sentence("Starting JupyterLab of “{image}”.", image=image))
        limit = aiohttp.ClientTimeout(total=2)
        end = asyncio.get_running_loop().time() + seconds
        async with aiohttp.ClientSession(timeout=limit) as http:
            while asyncio.get_running_loop().time() < end:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with http.get(url, allow_redirects=False) as answer:
                        if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                            return
                for statement in pod_reasons.of_pod(self._own(look()) or {}):
                    self.hear(statement)
                await asyncio.sleep(LOOK)
        raise Refusal(
            Reason.UNAVAILABLE,
            _("JupyterLab did not answer within {seconds} s in its container.").format(
                seconds=round(seconds)
            ),
            _(
                "Try again with a larger size or another environment; if it stays, tell the operators of the platform."
            ),
        )

    def _own(self, pod: Json | None) -> Json | None:
        """Return the pod if it is the one that was created; one of the same name may be there before it."""
        if pod is not None and pod["metadata"]["uid"] == self.uid:
            self._seen = self.uid
            return pod
        if pod is None and self._seen is not None and self._seen == self.uid:
            raise Refusal(
                Reason.UNAVAILABLE,
                _("The session was ended from outside while it was starting."),
                _("Start it again; if it stays, tell the operators of the platform."),
            )
        return None

    def hear(self, statement: Statement) -> None:
        """Return what a statement means.

        Raises
        ------
        Refusal
            If waiting cannot help.
        """
        if statement.reason == "Pulled" and (size := pod_reasons.image_size(statement.message)):
            self.image_sizes[self._selection.image.kubernetes.reference] = size
        explanation = pod_reasons.explain(statement, self._words)
        if explanation is None:
            return
        if explanation.hopeless or explanation.step == "ended":
            self._log.warning(
                "The session %s cannot start: %s %s: %s",
                self._session,
                statement.component,
                statement.reason,
                statement.message,
            )
            raise explanation.refusal()
        self._told.tell(explanation.step, explanation.told)

    def _give_up_at_the_end(self, statements: list[Statement]) -> None:
        """Refuse with the first reason for which the pod ended, and not with what follows from it."""
        for statement in statements:
            explanation = pod_reasons.explain(statement, self._words)
            if explanation is not None and explanation.step == "ended":
                self.hear(statement)

    async def _give_up_without_a_node(self, statements: list[Statement]) -> None:
        """End a start for which no node is in operation.

        Only both together tell it from a node that comes back in a moment: the scheduler says that evicting helps
        nowhere, and vkd that there are too few devices in all.

        Raises
        ------
        Refusal
            If that is so.
        """
        device, count = self._selection.accelerator, self._selection.count
        if device is None or not any(map(pod_reasons.eviction_helps_nowhere, statements)):
            return
        reading = await self._context.vkd.availability()
        known = {each.accelerator: each.total for each in reading.accelerators} if reading else {}
        total = known.get(self._selection.accelerator_name, count)
        if total < count:
            only = ngettext(
                "Only {number} of {title} is in operation now.",
                "Only {number} of {title} are in operation now.",
                total,
            )
            raise Refusal(
                Reason.IMPOSSIBLE,
                (only if total else _("None of {title} is in operation now.")).format(
                    number=total, title=device.title
                ),
                _("Choose another accelerator, or try again when the operators have added one."),
                field="accelerator",
            )
