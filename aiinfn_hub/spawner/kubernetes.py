"""Sessions as pods of a cluster: kubespawner, with everything of the pod out of what was granted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Final

import aiohttp
from jupyterhub.utils import url_path_join
from kubernetes_asyncio.client import ApiException
from kubespawner import KubeSpawner
from kubespawner.spawner import PodReflector
from traitlets import Integer, default

from aiinfn_hub.contract import apps
from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import Sentence, Text, marked
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.kube import names
from aiinfn_hub.kube.objects.pods import PodParts, pod_parts
from aiinfn_hub.kube.reasons import pod_reasons
from aiinfn_hub.kube.reasons.pod_reasons import Explanation, Statement
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.spawner.session import SERVER, SessionMixin, asked

from . import device_claims, lost_node, profile_list
from .cluster_login import renew_with_kubeconfig
from .pod_start import LOOK, PodStart
from .pod_watch import SessionPods
from .spawn_progress import SpawnStep

REFRESH: Final = 5.0
"""Seconds between two new beginnings of the watch on pods at least."""
ASK_AGAIN: Final = 1.0
"""Seconds between two requests for a pod that the API server did not answer, or refused for now."""
MARK_END: Final = 3.0
"""Seconds until the API server counts as not answering when a session's end is written on its pod."""
FAILED_GRACE: Final = 5
"""Seconds of grace for the pod of a start that failed. Without one, the scheduler would give devices on that the node still has."""
UNDO: Final = 30.0
"""Seconds after which the pod of a start that failed is left to the cluster."""
HEAD_START: Final = 1.0
"""Seconds that vkd gets to preempt jobs through Kueue before the pod is created, after which kube-scheduler evicts by itself."""

_NO_ANSWER: Final = (ApiException, aiohttp.ClientError, OSError, TimeoutError)

Json = dict[str, Any]


class KubernetesSpawner(SessionMixin, KubeSpawner):
    """Starts a session's server as a pod.

    Of kubespawner it keeps the names, labels and states of pods, named servers, its watch on pods and its hooks
    (``modify_pod_hook`` has the last word on a pod). Traits that describe the pod are set again, as whole values, by each
    start: what an operator sets them to, or what an earlier start left in them, has no effect.
    """

    steps: ClassVar[tuple[SpawnStep, ...]] = (
        SpawnStep("asked", marked("Request")),
        SpawnStep("placed", marked("Place")),
        SpawnStep("image", marked("Environment")),
        SpawnStep("starting", marked("JupyterLab")),
        SpawnStep("ready", marked("Ready")),
    )

    node_patience = Integer(
        60, min=1, help="Seconds that a session waits for a node that does not answer, before it is given up."
    ).tag(config=True)

    _starting: PodStart | None = None
    _last_words: Explanation | None = None
    """Why the pod ends, as soon as it says so."""
    _unmarked: datetime | None = None
    """An end that the cluster does not let us write on the pod."""
    _last_pod: Json | None = None
    """The pod as the watch had it last."""
    _refreshed: ClassVar[float] = float("-inf")
    """When the watch was restarted for a start of which it showed nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        renew_with_kubeconfig(self.api.api_client.configuration)
        # kubespawner's watch logs each attempt as an error of its own.
        self.log_without_traceback((ApiException, aiohttp.ClientError), logging.WARNING)

    @default("cmd")
    def _default_cmd(self) -> list[str]:
        return ["python", *SERVER]

    @default("events_enabled")
    def _default_events_enabled(self) -> bool:
        """Return False: `PodStart` takes their place."""
        return False

    @default("delete_pvc")
    def _default_delete_pvc(self) -> bool:
        """Return False: storage comes from the platform file, and the hub may not touch claims."""
        return False

    @default("profile_list")
    def _default_profile_list(self) -> Any:
        return list_profiles

    # What was granted -> kubespawner's traits

    def request_of(self, user_options: Any) -> Any:
        """Understand kubespawner's ``{"profile": NAME}`` too."""
        return profile_list.request_of(user_options)

    def parts(self) -> PodParts:
        """Return what the pod of this session is made of."""
        return pod_parts(self.granted(), self.context.platform)

    async def load_user_options(self) -> None:
        """Set every trait of the pod from what was granted; kubespawner would merge a profile into what is there."""
        selection, parts = self.granted(), self.parts()
        self.image = parts.image
        self.image_pull_policy = parts.image_pull_policy
        self.working_dir = parts.home
        self.priority_class_name = parts.priority_class_name
        # These tell the session what it has (MEM_LIMIT and the like); what the cluster gets is in the extras.
        self.cpu_guarantee, self.cpu_limit = selection.size.cores, None
        self.mem_guarantee = self.mem_limit = selection.size.memory
        self.extra_resource_guarantees = dict(parts.resources["requests"])
        self.extra_resource_limits = dict(parts.resources["limits"])
        self.node_affinity_required = _required(parts.affinity)
        self.node_affinity_preferred: list[Json] = []
        self.node_selector: dict[str, str] = {}
        self.tolerations = [
            *(dict(toleration) for toleration in parts.tolerations),
            *lost_node.tolerations(self.node_patience),
        ]
        self.volumes = _literal(parts.volumes)
        self.volume_mounts = _literal(parts.volume_mounts)
        self.uid = self.gid = self.fs_gid = None
        self.supplemental_gids: list[int] = []
        self.privileged, self.allow_privilege_escalation = False, False
        self.pod_security_context = dict(parts.pod_security_context)
        self.container_security_context = dict(parts.container_security_context)
        self.automount_service_account_token, self.service_account = False, None
        labels, annotations = self._marks()
        self.extra_labels = _literal(parts.labels | labels)
        self.extra_annotations = _literal(parts.annotations | annotations)

    async def get_pod_manifest(self) -> Any:
        """Add to kubespawner's pod what it has no traits for; see `aiinfn_hub.kube.objects.pods.pod_spec`."""
        pod = await super().get_pod_manifest()
        # A server that was killed is told to its owner. Started again by the node, its notebooks would have lost their kernels.
        pod.spec.restart_policy = "Never"
        pod.spec.share_process_namespace = True
        pod.spec.enable_service_links = False
        pod.spec.termination_grace_period_seconds = self._grace()
        return pod

    def _grace(self) -> int:
        """Return the seconds between SIGTERM and SIGKILL of a session."""
        return max(1, round(self.context.platform.limits.session_grace.total_seconds()))

    def get_env(self) -> dict[str, str]:
        """Return the environment of the image and of the platform, under that of the hub."""
        parts = self.parts()
        env: dict[str, str] = super().get_env()
        # Loopback is the pod's own: whoever listens there is the person.
        own = {"JUPYTERHUB_ROOT_DIR": parts.home, apps.PORT_PROXY: apps.OPEN}
        return parts.environment | own | env

    def _marks(self) -> tuple[dict[str, str], dict[str, str]]:
        keys = names.Labels(self.context.platform.label_prefix)
        annotations = {keys.session: self.session_id}
        if self.session_end is not None:
            annotations[keys.until] = self.session_end.isoformat()
        return {keys.session: names.slug(self.session_id)}, annotations

    # Start and stop

    async def _start(self) -> str:
        """Start the session, within the platform's patience.

        Raises
        ------
        SessionRefusedError
            With a sentence, as early as it is clear that waiting cannot help.
        """
        selection = self.granted()
        patience = self.context.platform.limits.session_start
        self.told.tell("asked", asked(selection))
        # The pod knows its end from the beginning: waiting for its place counts.
        until = self.begin_time()
        try:
            async with asyncio.timeout(patience.total_seconds()):
                await self._head_start(selection, until)
                url = await self._create_and_follow(selection)
        except Refusal as refusal:
            await self._undo()
            self.refuse(refusal)
        except _NO_ANSWER as error:
            late = self._late(selection, patience, error)
            await self._undo()
            self.refuse(late)
        except BaseException:
            # Also a cancelled start.
            await self._undo()
            raise
        return url

    async def _head_start(self, selection: Selection, until: datetime) -> None:
        if selection.accelerator is None:
            return
        request = device_claims.request_of(selection, until)
        claim = await device_claims.head_start(self.context.vkd, self.session_id, request, HEAD_START)
        if claim is not None and claim.sentence:
            self.told.tell("placed", claim.sentence)

    async def _create_and_follow(self, selection: Selection) -> str:
        """Let kubespawner create the pod, and return as soon as JupyterLab answers from it, or cannot any more.

        kubespawner itself looks less and less often, up to every 5 s.
        """
        start = PodStart(self.session_id, selection, self.context, self.told, self.log)
        self._starting = start
        create = asyncio.ensure_future(super()._start())
        follow = asyncio.ensure_future(
            start.until_running(self.namespace, self.pod_name, self._pod, self.is_pod_running, self._refresh)
        )
        try:
            await asyncio.wait({create, follow}, return_when=asyncio.FIRST_COMPLETED)
            if create.done() or self.internal_ssl or self.services_enabled or self.after_pod_created_hook:
                if follow.done():
                    follow.result()
                url = str(await create)
            else:
                url = str(self._get_pod_url(follow.result()))
            if self.internal_ssl:  # the hub knows the certificates
                return url
            answers = url_path_join(url, self.server.base_url if self.server else "/", "api")
            await start.until_answering(answers, self._pod, self.http_timeout)
            return url
        finally:
            for task in (create, follow):
                task.cancel()
            await asyncio.gather(create, follow, return_exceptions=True)

    def _late(self, selection: Selection, patience: timedelta, error: BaseException) -> Refusal:
        """Explain why a start took too long, from what was reported last."""
        if not isinstance(error, TimeoutError):
            self.log.error(
                "The cluster did not let the session %s start: %s", self.session_id, _words_of(error)
            )
            return Refusal(
                Reason.UNAVAILABLE,
                _("The cluster does not answer now, so no session can be started."),
                _("Try again in a minute; sessions that run go on."),
            )
        if (
            self.told.step in {"asked", "placed"}
            and selection.accelerator is not None
            and self._pod() is not None
        ):
            return device_claims.nothing_free(selection, patience)
        return Refusal(
            Reason.UNAVAILABLE,
            _("The session did not start in time. The last that was heard of it: {last}").format(
                last=self.told.last
            ),
            _("Try again; if it stays, tell the operators of the platform."),
        )

    async def _undo(self) -> None:
        """Leave nothing of a start that failed; an earlier session that may still run somewhere is not of this start."""
        pod, started = self._pod(), self._starting.uid if self._starting else None
        if pod is not None and lost_node.is_lost(pod) and pod["metadata"].get("uid") != started:
            return
        # Not awaited itself: this also runs while the start is being cancelled.
        ending = asyncio.ensure_future(self._end(min(FAILED_GRACE, self._grace())))
        await asyncio.wait({ending}, timeout=UNDO)
        if not ending.done():
            ending.cancel()
            self.log.warning("The pod of %s is still there after %.0f s", self.session_id, UNDO)
            return
        try:
            ending.result()
        except _NO_ANSWER as error:
            self.log.warning("The pod of %s could not be deleted: %s", self.session_id, _words_of(error))

    async def stop(self, now: bool = False) -> None:
        """End the session, and give up its claim."""
        await self._end(0 if now else self._grace())

    async def _end(self, grace: int) -> None:
        self.delete_grace_period = grace
        ending = asyncio.ensure_future(super().stop(now=grace == 0))
        try:
            # kubespawner waits for the pod to go, too, and looks less and less often.
            was_there = self._pod() is not None
            while not ending.done() and not (was_there and self._is_gone()):
                await asyncio.wait({ending}, timeout=LOOK)
            if ending.done():
                ending.result()
        finally:
            ending.cancel()
            if self.selection is not None and self.selection.accelerator is not None:
                device_claims.release(self.context.vkd, self.session_id)

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> bool:
        """Create the pod; False to be called again.

        An API server that is back is found within `ASK_AGAIN`; kubespawner would wait less than 5 s, at random.
        """
        until = time.monotonic() + self.k8s_api_request_retry_timeout
        while not await self._create_pod(pod, request_timeout):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(ASK_AGAIN)
        return True

    async def _create_pod(self, pod: Any, request_timeout: float) -> bool:
        """Ask once for the pod, and return whether it was created.

        kubespawner writes the whole pod into the log when this fails, and the pod holds the session's token.

        Raises
        ------
        Refusal
            If the API server refuses the pod.
        """
        start = self._starting
        if start is None:
            raise RuntimeError(f"A pod of {self.session_id} is created, but no start is going on")
        try:
            async with asyncio.timeout(request_timeout):
                created = await self.api.create_namespaced_pod(self.namespace, pod)
        except ApiException as error:
            if error.status == HTTPStatus.CONFLICT:
                if (pod := self._pod()) and lost_node.is_lost(pod):
                    lost_node.confirm(self.session_id, pod)
                    self.log.warning(
                        "The pod of %s on a node that does not answer is removed: its person starts anyway",
                        self.session_id,
                    )
                self.log.info("There is a pod %s already; it is ended first", self.pod_name)
                # Not our own stop: what was claimed for this start stays claimed.
                await super().stop(now=True)
                return False
            start.hear(_answer(error))
            return False
        except (TimeoutError, aiohttp.ClientError, OSError):
            start.hear(pod_reasons.of_refusal(0, "", ""))
            return False
        start.uid = created.metadata.uid
        return True

    # The session's life

    async def poll(self) -> int | None:
        """Return whether the session runs, and keep why it ended.

        A cluster that does not answer is no reason to give a session up: it goes on until the cluster says otherwise.
        """
        pod = self._pod()
        # Most servers end at once when they are asked to: their pod may be gone before it is looked at.
        last = pod or self._gone()
        if last is not None and self.selection is not None:
            words = pod_reasons.words_of(self.selection, self.context.platform)
            self._last_words = pod_reasons.ending(last, words) or self._last_words
        try:
            status: int | None = await super().poll()
            if status is not None and (left := self._pod()) and not left["metadata"].get("deletionTimestamp"):
                await self.stop(now=True)
        except _NO_ANSWER as error:
            self.log.warning("It is not known whether %s runs: %s", self.session_id, _words_of(error))
            return None
        if status is None and pod is not None and lost_node.is_given_up(pod):
            # Its devices are free again when the node is back or removed; until then they are not in operation.
            if self.session_id not in self.endings and not self._stop_pending:
                self.remember_ending(lost_node.ended(pod))
            device_claims.release(self.context.vkd, self.session_id)
            return 1
        if status is not None and self.session_end is not None and not self._ending:
            self._tell_ending()
        elif status is None and pod is not None:
            await self._mark_end(pod["metadata"].get("annotations") or {})
        return status

    async def end_moved(self) -> None:
        """Write the end on the pod, where vkd reads it."""
        await self._mark_end({})

    async def _mark_end(self, marks: Mapping[str, str]) -> None:
        """Write the session's end on its pod if it bears another; an API server that is away gets it at a later look."""
        key, end = names.Labels(self.context.platform.label_prefix).until, self.session_end
        if end is None or marks.get(key) == end.isoformat() or self._unmarked == end:
            return
        try:
            async with asyncio.timeout(MARK_END):
                await self.api.patch_namespaced_pod(
                    self.pod_name,
                    self.namespace,
                    {"metadata": {"annotations": {key: end.isoformat()}}},
                    _content_type="application/merge-patch+json",
                )
        except _NO_ANSWER as error:
            if isinstance(error, ApiException) and error.status in {
                HTTPStatus.FORBIDDEN,
                HTTPStatus.NOT_FOUND,
            }:
                self._unmarked = end  # asking again would not help
            self.log.warning("The pod of %s does not bear its end: %s", self.session_id, _words_of(error))

    def _tell_ending(self) -> None:
        if self.session_id not in self.endings and not self._stop_pending and not self._spawn_pending:
            words = self._last_words
            self.remember_ending(
                Sentence("{what} {advice}", what=words.told, advice=words.advice)
                if words
                else Sentence("It was ended from outside the hub.")
            )

    def clear_state(self) -> None:
        """Forget the session and its pod."""
        super().clear_state()
        self._starting, self._last_words, self._last_pod, self._unmarked = None, None, None, None

    async def _start_watching_pods(self, replace: bool = False) -> Any:
        """Watch the pods; restart the watch if it gave up, as kubespawner's does after a minute without an answer."""
        watch = self.pod_reflector
        if watch is not None:
            replace = replace or _failed(watch)
        return await super()._start_watching_pods(replace=replace)

    async def _start_reflector(
        self, kind: str, reflector_class: Any, replace: bool = False, **kwargs: Any
    ) -> Any:
        """Watch pods with a watch that keeps how a pod was when it went."""
        chosen = SessionPods if reflector_class is PodReflector else reflector_class
        return await super()._start_reflector(kind, chosen, replace, **kwargs)

    async def _refresh(self) -> None:
        """Restart the watch on pods: after an outage kubespawner's waits up to half a minute before it looks again."""
        now = time.monotonic()
        if now - KubernetesSpawner._refreshed > REFRESH:
            KubernetesSpawner._refreshed = now
            with contextlib.suppress(*_NO_ANSWER):
                await self._start_watching_pods(replace=True)

    def _pod(self) -> Json | None:
        """Return the session's pod as the watch has it; one that was restarted knows nothing for a moment."""
        watch = self.pod_reflector
        if watch is not None and watch.first_load_future.done() and not _failed(watch):
            self._last_pod = watch.pods.get(f"{self.namespace}/{self.pod_name}")
        return self._last_pod

    @property
    def trouble(self) -> Text | None:
        """What the owner of a session that runs should know of it; None if all is well."""
        pod = self._pod()
        return lost_node.silent(pod) if pod is not None and lost_node.is_lost(pod) else None

    def _is_gone(self) -> bool:
        """Return whether the pod is gone, or as much as it can be: a node that does not answer ends nothing."""
        pod = self._pod()
        return pod is None or lost_node.is_given_up(pod)

    def _gone(self) -> Json | None:
        """Return the session's pod as it was when it went; None while there is one, or where that is not known."""
        watch = self.pod_reflector
        gone: Mapping[str, Json] = watch.gone if isinstance(watch, SessionPods) else {}
        return gone.get(f"{self.namespace}/{self.pod_name}")


async def list_profiles(spawner: KubernetesSpawner) -> list[Json]:
    """Return kubespawner's profile list for the owner of a spawner."""
    reading = await spawner.context.vkd.availability()
    return profile_list.profile_list(spawner.context.platform, spawner.person, reading)


def _failed(watch: Any) -> bool:
    """Return whether one of kubespawner's watches gave up, or never began."""
    loaded, task = watch.first_load_future, watch.watch_task
    never = loaded.done() and (loaded.cancelled() or loaded.exception() is not None)
    return never or (task is not None and task.done())


def _required(affinity: Json | None) -> list[Json]:
    if affinity is None:
        return []
    node = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return [dict(term) for term in node["nodeSelectorTerms"]]


def _literal(value: Any) -> Any:
    """Escape the braces of text, which kubespawner fills in as templates; a person's name may hold some."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, list):
        return [_literal(each) for each in value]
    if isinstance(value, dict):
        return {key: _literal(each) for key, each in value.items()}
    return value


def _answer(error: ApiException) -> Statement:
    """Read what the API server answered."""
    try:
        body = json.loads(error.body or "")
        reason, message = str(body.get("reason", "")), str(body.get("message", ""))
    except (TypeError, ValueError, AttributeError):
        reason, message = "", ""
    return pod_reasons.of_refusal(error.status or 0, reason, message or str(error.reason or ""))


def _words_of(error: BaseException) -> str:
    """Name an error for the log: an `ApiException` would bring headers and body along."""
    if isinstance(error, ApiException):
        answer = _answer(error)
        return f"{answer.reason}: {answer.message}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
