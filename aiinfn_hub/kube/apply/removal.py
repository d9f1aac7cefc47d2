"""Take a platform out of a cluster, in the order in which its objects let go of each other.

Nothing is forced: a finalizer is left to who set it, and what does not go in time is named. Whatever was interrupted goes on
when it is run again, because what is left is found by its marks each time.

1. The queues are stopped and drained, so that Kueue admits nothing more.
2. The rights of hub and vkd go, so that neither makes anew what is removed.
3. Sessions and jobs end, if that was asked for; else there are none.
4. The objects go, those first that name others: LocalQueues, ClusterQueues, Cohort and flavors, Topology, and so on.
5. Namespaces that hold nothing go. The others stay with all that is in them, without this platform's marks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from aiinfn_hub.kube import names
from aiinfn_hub.kube.client import KubeClient, KubeError, path_of
from aiinfn_hub.kube.objects.queues import KUEUE
from aiinfn_hub.platform.model.platform import Platform

from . import kinds, namespace_contents, ownership, usage_check
from .apply import ApplyError, at_once, cannot, made_earlier, pages, title
from .first_few import first_few
from .kinds import ObjectKind

Json = dict[str, Any]

SECONDS: Final = 180.0
"""How long the whole may take."""
_POLL: Final = 0.3
_SHOWN: Final = 10
_BINDINGS: Final = ("RoleBinding", "ClusterRoleBinding")
_JOBS: Final = "batch/v1"


@dataclass
class Removal:
    """What is there of a platform.

    Attributes
    ----------
    objects
        Everything that ``kueue apply`` made, without the namespaces.
    namespaces
        Those that it made or marked.
    keeping
        Of a namespace that stays: what it holds, or why it is not known.
    sessions, jobs
        Unfinished ones, as ``namespace/name of owner``.
    obstacles
        Sentences; with one of them nothing is removed.
    """

    objects: list[Json] = field(default_factory=list)
    namespaces: list[Json] = field(default_factory=list)
    keeping: dict[str, str] = field(default_factory=dict)
    sessions: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)

    @property
    def pending(self) -> bool:
        """Whether anything of the platform is there."""
        return bool(self.objects or self.namespaces or self.sessions or self.jobs)


async def plan_removal(client: KubeClient, platform: Platform, *, end_running: bool = False) -> Removal:
    """Find what is there of a platform, and what forbids to remove it; nothing is changed.

    Parameters
    ----------
    end_running
        Unfinished sessions and jobs are to be ended; else they forbid it.

    Raises
    ------
    ApplyError
        If the cluster cannot be asked.
    """
    labels, instance = names.Labels(platform.label_prefix), names.Instance.of(platform)
    plan = Removal()
    try:
        present = await made_earlier(client, labels, instance)
        plan.objects = [each for each in present if each["kind"] != "Namespace"]
        plan.namespaces = [each for each in present if each["kind"] == "Namespace"]
        pods = await _session_pods(client, plan, labels)
        plan.sessions = [_words(each, labels) for each in pods if not _over(each)]
        plan.obstacles += await _used_by_others(client, plan)
        jobs = await _job_objects(client, plan, labels)
        plan.jobs = [_words(each, labels) for each in jobs if not _over(each)]
        plan.obstacles += await _work_of_others(client, plan, jobs)
        for each in plan.namespaces:
            if why := await _why_kept(client, each, plan, labels, instance):
                plan.keeping[each["metadata"]["name"]] = why
    except KubeError as error:
        raise cannot(error) from error
    if not end_running:
        plan.obstacles += _running(plan)
    return plan


async def carry_out(
    client: KubeClient,
    platform: Platform,
    plan: Removal,
    say: Callable[[str], None],
    *,
    seconds: float = SECONDS,
) -> None:
    """Remove a platform.

    Parameters
    ----------
    say
        Is told each step.
    seconds
        How long the whole may take.

    Raises
    ------
    ApplyError
        If there are obstacles (nothing was changed then), a request failed, or something did not go in time. Doing it again goes on.
    """
    if plan.obstacles:
        raise ApplyError("\n".join(["Nothing was changed.", *plan.obstacles]))
    labels, instance = names.Labels(platform.label_prefix), names.Instance.of(platform)
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        await _drain(client, plan, labels, instance)
        await _remove(client, [each for each in plan.objects if each["kind"] in _BINDINGS], say, deadline)
        await _end_all(client, plan, labels, say, deadline)
        rest = [each for each in plan.objects if each["kind"] not in _BINDINGS]
        for stage in sorted({kind.stage for kind in kinds.ALL}, reverse=True):
            await _remove(
                client, [each for each in rest if kinds.BY_NAME[each["kind"]].stage == stage], say, deadline
            )
        await _namespaces(client, plan, labels, instance, say, deadline)
    except KubeError as error:
        raise ApplyError(f"{cannot(error)}\nRun it again: it goes on where it stopped.") from error


# What is there


async def _session_pods(client: KubeClient, plan: Removal, labels: names.Labels) -> list[Json]:
    return await _in_each(client, plan, "v1", "pods", f"{labels.kind}=session")


async def _job_objects(client: KubeClient, plan: Removal, labels: names.Labels) -> list[Json]:
    return await _in_each(client, plan, _JOBS, "jobs", f"{labels.kind}=job")


async def _in_each(client: KubeClient, plan: Removal, version: str, plural: str, selector: str) -> list[Json]:
    """List what our own namespaces hold of a kind: what lies elsewhere is not ours, whatever its labels say."""
    found = []
    for each in plan.namespaces:
        path = path_of(version, plural, namespace=each["metadata"]["name"])
        found += [item async for item in pages(client, path, labelSelector=selector)]
    return found


def _over(body: Json) -> bool:
    """Return whether a pod or a Job has ended."""
    status = body.get("status") or {}
    ended = any(
        each["type"] in {"Complete", "Failed"} and each["status"] == "True"
        for each in status.get("conditions") or ()
    )
    return ended or status.get("phase") in {"Succeeded", "Failed"}


def _words(body: Json, labels: names.Labels) -> str:
    metadata = body["metadata"]
    owner = (metadata.get("annotations") or {}).get(labels.user, "an unknown owner")
    return f"{metadata['namespace']}/{metadata['name']} of {owner}"


def _running(plan: Removal) -> list[str]:
    found = []
    for what, those in (("session", plan.sessions), ("job", plan.jobs)):
        if those:
            number = f"1 {what} is" if len(those) == 1 else f"{len(those)} {what}s are"
            found.append(
                f"{number} not over: {first_few(those, _SHOWN)}. Let them end, or end them with --end-running: what they have not saved is lost."
            )
    return found


async def _used_by_others(client: KubeClient, plan: Removal) -> list[str]:
    """Return which objects of others name ours: Kueue would keep ours as long as they do."""
    ours = {(each["kind"], each["metadata"]["name"]) for each in plan.objects}
    own = {
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"])
        for each in plan.objects
    }
    if not ours:
        return []
    found = []
    for name in ("ResourceFlavor", "Cohort", "ClusterQueue", "LocalQueue"):
        kind = kinds.BY_NAME[name]
        for body in await _all(client, kind):
            place = body["metadata"].get("namespace", "")
            if (name, place, body["metadata"]["name"]) in own:
                continue
            used = [
                f"{what} {which}"
                for what, which in named_by(name, body.get("spec") or {})
                if (what, which) in ours
            ]
            if used:
                found.append(
                    f"{title(kind, body)} is not of this platform and needs {', '.join(used)}. Change or remove it first."
                )
    return found


async def _work_of_others(client: KubeClient, plan: Removal, jobs: Iterable[Json]) -> list[str]:
    """Return what somebody else has in our queues, beside our jobs: draining them would stop it."""
    ours = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in jobs}
    return [
        f"Workload {each['metadata']['namespace']}/{each['metadata']['name']} in LocalQueue {each['spec']['queueName']} "
        "is no job of this platform. Let it end, or remove it first."
        for each in await _workloads(client, plan)
        if not any(
            (each["metadata"]["namespace"], owner["name"]) in ours
            for owner in each["metadata"].get("ownerReferences") or ()
        )
    ]


async def _workloads(client: KubeClient, plan: Removal) -> list[Json]:
    """List what is unfinished in our queues."""
    queues = {
        (each["metadata"]["namespace"], each["metadata"]["name"])
        for each in plan.objects
        if each["kind"] == "LocalQueue"
    }
    found = []
    for namespace in sorted({namespace for namespace, _ in queues}):
        listed = pages(client, path_of(KUEUE, "workloads", namespace=namespace))
        found += [
            each
            async for each in listed
            if not usage_check.finished(each) and (namespace, each["spec"].get("queueName", "")) in queues
        ]
    return found


def named_by(kind: str, spec: Json) -> Iterable[tuple[str, str]]:
    """Return the objects that an object of Kueue names, as kind and name."""
    if kind == "ResourceFlavor":
        yield "Topology", spec.get("topologyName") or ""
    elif kind == "LocalQueue":
        yield "ClusterQueue", spec.get("clusterQueue") or ""
    else:
        yield "Cohort", spec.get("cohortName" if kind == "ClusterQueue" else "parentName") or ""
        for group in spec.get("resourceGroups") or ():
            for each in group.get("flavors") or ():
                yield "ResourceFlavor", each["name"]


async def _all(client: KubeClient, kind: ObjectKind) -> list[Json]:
    try:
        return [each async for each in pages(client, kind.collection())]
    except KubeError as error:
        if error.status == HTTPStatus.NOT_FOUND:  # Kueue is gone already
            return []
        raise


async def _why_kept(
    client: KubeClient, namespace: Json, plan: Removal, labels: names.Labels, instance: names.Instance
) -> str:
    """Return why a namespace stays; nothing if it holds nothing but what goes."""
    name = namespace["metadata"]["name"]
    if "deletionTimestamp" in namespace["metadata"]:  # of a run that was interrupted
        return ""
    managers = ownership.managers(namespace, of_status=False)
    if made_by := [each for each in managers if each != instance.field_manager]:
        return f"it was there before or is managed by {', '.join(made_by)} too"
    going = {
        (each["kind"], each["metadata"]["name"])
        for each in plan.objects
        if each["metadata"].get("namespace") == name
    }

    def goes(kind: str, body: Json) -> bool:
        marks = body["metadata"].get("labels") or {}
        ours = (kind == "Pod" and marks.get(labels.kind) == "session") or (
            kind == "Job" and marks.get(labels.kind) == "job"
        )
        return ours or (kind, body["metadata"]["name"]) in going

    return await namespace_contents.told(client, name, goes)


# Removing


async def _drain(client: KubeClient, plan: Removal, labels: names.Labels, instance: names.Instance) -> None:
    """Stop the queues. It is applied as everything else, so that applying the file again lets them go on."""
    kind = kinds.BY_NAME["ClusterQueue"]
    for each in plan.objects:
        if each["kind"] != kind.name or "deletionTimestamp" in each["metadata"]:
            continue
        body = {
            "apiVersion": kind.version,
            "kind": kind.name,
            "metadata": {"name": each["metadata"]["name"], "labels": {labels.managed: instance.name}},
            "spec": each["spec"] | {"stopPolicy": "HoldAndDrain"},
        }
        await client.apply(kind.path(each["metadata"]), body, manager=instance.field_manager, force=True)


async def _end_all(
    client: KubeClient, plan: Removal, labels: names.Labels, say: Callable[[str], None], deadline: float
) -> None:
    """End sessions and jobs, finished ones too, and wait until they are gone."""
    told: set[str] = set()

    async def rest() -> list[str]:
        left = []
        for items, kind, version, plural in (
            (await _session_pods(client, plan, labels), "Pod", "v1", "pods"),
            (await _job_objects(client, plan, labels), "Job", _JOBS, "jobs"),
        ):
            for each in items:
                metadata = each["metadata"]
                name = f"{kind} {metadata['namespace']}/{metadata['name']}"
                left.append(name + _held_by(each))
                if "deletionTimestamp" in metadata:
                    continue
                if name not in told:
                    say(f"- remove {name}")
                    told.add(name)
                path = path_of(version, plural, namespace=metadata["namespace"], name=metadata["name"])
                await client.delete(path, propagation="Foreground", preconditions={"uid": metadata["uid"]})
        return left

    await _until_gone(rest, deadline)

    async def reserved() -> list[str]:
        return [
            f"Workload {each['metadata']['namespace']}/{each['metadata']['name']}{_held_by(each)}"
            for each in await _workloads(client, plan)
        ]

    await _until_gone(reserved, deadline)


async def _remove(
    client: KubeClient, bodies: Sequence[Json], say: Callable[[str], None], deadline: float
) -> None:
    """Delete objects and wait until they are gone."""

    async def delete(each: Json) -> None:
        if "deletionTimestamp" in each["metadata"]:  # of a namespace, a second time would be refused
            return
        kind = kinds.BY_NAME[each["kind"]]
        await client.delete(kind.path(each["metadata"]), preconditions={"uid": each["metadata"]["uid"]})

    for each in bodies:
        say(f"- remove {title(kinds.BY_NAME[each['kind']], each)}")
    await at_once(delete, bodies)
    await _until_gone(lambda: _left(client, bodies), deadline)


async def _left(client: KubeClient, bodies: Iterable[Json]) -> list[str]:
    async def one(each: Json) -> str:
        kind = kinds.BY_NAME[each["kind"]]
        found = await client.find(kind.path(each["metadata"]))
        same = found is not None and found["metadata"]["uid"] == each["metadata"]["uid"]
        return f"{title(kind, each)}{_held_by(found or {})}" if same else ""

    return [each for each in await at_once(one, list(bodies)) if each]


def _held_by(body: Json) -> str:
    finalizers = (body.get("metadata") or {}).get("finalizers") or ()
    return f" (held by {', '.join(finalizers)})" if finalizers else ""


async def _namespaces(
    client: KubeClient,
    plan: Removal,
    labels: names.Labels,
    instance: names.Instance,
    say: Callable[[str], None],
    deadline: float,
) -> None:
    """Remove empty namespaces, and take our marks off the others."""
    empty = []
    for each in plan.namespaces:
        name = each["metadata"]["name"]
        if why := await _why_kept(client, each, plan, labels, instance):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await client.apply(
                path_of("v1", "namespaces", name=name), body, manager=instance.field_manager, force=True
            )
            say(f"Namespace {name} stays: {why}.")
        else:
            empty.append(each)
    await _remove(client, empty, say, deadline)


async def _until_gone(left: Callable[[], Awaitable[list[str]]], deadline: float) -> None:
    while still := await left():
        if asyncio.get_running_loop().time() > deadline:
            shown = ", ".join(still[:_SHOWN])
            raise ApplyError(
                f"Still there: {shown}. Nothing was forced. Is Kueue's manager running, and every node? "
                "Run it again, with a longer --timeout: it goes on where it stopped."
            )
        await asyncio.sleep(_POLL)
