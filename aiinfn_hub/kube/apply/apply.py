"""Bring a cluster in line with the platform file, and say before what that would change.

Objects are applied server-side under the field manager of the platform's instance. What differs is found by a dry run of the same request, so
that the API server itself says what would change: its defaults, and fields of others, show no difference.

- Only what carries the instance's label *and* was applied by its manager alone is ever removed. Namespaces stay: people's
  volumes are in them.
- What another platform of the cluster has applied is never touched, not even where that is forced.
- Nothing is deleted in order to be made again. Where a field cannot be changed, that is said, with what to do.
- A change that would hurt unfinished jobs is refused as a whole, before anything is changed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, TypeVar

from aiinfn_hub.kube import names
from aiinfn_hub.kube.client import KubeClient, KubeError, path_of
from aiinfn_hub.kube.inventory import ClusterInventory, InventoryReader
from aiinfn_hub.kube.node_notices import sentence
from aiinfn_hub.kube.objects import queues, rbac
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.settings import BackendKind

from . import kinds, kueue_check, ownership, usage_check
from .diff import Field, fields
from .kinds import ObjectKind

Json = dict[str, Any]
A = TypeVar("A")
T = TypeVar("T")

AT_ONCE: Final = 16
"""Requests."""
PAGE: Final = 500
"""Objects of one answer."""
ACTIVE_SECONDS: Final = 10.0
"""How long Kueue may take to take new queues up."""

_CONFLICT: Final = re.compile(r'conflicts? with "([^"]+)"')
_PLACE: Final = re.compile(r"(?m)^- (\S+)$|: (\.\S+)$")
"""In the message of a conflict: the fields, one or many."""
_DEFAULT_REMEDY: Final = "Delete it by hand when nothing uses it, and apply again."
_REMEDIES: Final = {
    "ResourceFlavor": "Give the accelerator another name in the file; or take it out, apply, put it back and apply again.",
    "LocalQueue": "Take the project out of the queue in the file, apply, put it back and apply again.",
    "PriorityClass": "Put the number in the file back; or delete the class by hand and apply again: "
    "pods that exist keep the number they were made with.",
}


class ApplyError(Exception):
    """The cluster cannot be compared or changed; the message is one sentence that says why."""


class Verb(StrEnum):
    """What happens to an object."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    KEEP = "keep"


@dataclass(frozen=True)
class Change:
    """What happens to one object.

    Attributes
    ----------
    fields
        Of an object that is changed: what is another afterwards.
    """

    verb: Verb
    kind: ObjectKind
    body: Json
    fields: tuple[Field, ...] = ()

    @property
    def title(self) -> str:
        """Kind, namespace and name, for people."""
        return title(self.kind, self.body)


@dataclass
class Plan:
    """What `carry_out` will do, and why it may not.

    Attributes
    ----------
    obstacles
        Sentences; with one of them nothing is done.
    notes
        Sentences that change nothing.
    before, after
        The queues that are there, and those of the file.
    """

    changes: list[Change] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    before: usage_check.Queues = field(default_factory=usage_check.Queues)
    after: usage_check.Queues = field(default_factory=usage_check.Queues)

    @property
    def pending(self) -> list[Change]:
        """The changes that change something."""
        return [change for change in self.changes if change.verb is not Verb.KEEP]


def wanted(platform: Platform) -> list[Json]:
    """Return all objects of a platform, in the order of their creation.

    Raises
    ------
    ApplyError
        If the platform file describes no cluster, or one that Kueue cannot express.
    """
    if platform.batch_backend is not BackendKind.KUBERNETES:
        raise ApplyError(
            f"This platform file has the back end {platform.batch_backend}: there is nothing to apply to a cluster. "
            "Write sessions: {backend: kubernetes} in it."
        )
    try:
        found = [*queues.objects(platform), *rbac.objects(platform)]
    except queues.UnusableNameError as error:
        raise ApplyError(str(error)) from error
    return sorted(found, key=lambda each: kinds.BY_NAME[each["kind"]].stage)


async def make_plan(client: KubeClient, platform: Platform, *, force: bool = False) -> Plan:
    """Compare a cluster with the platform file; nothing is changed.

    Parameters
    ----------
    force
        Take over what others made or manage, instead of seeing an obstacle in it, and go on
        with a Kueue that lacks what is required. What another platform has applied stays one.

    Raises
    ------
    ApplyError
        If the cluster cannot be asked.
    """
    desired = wanted(platform)
    labels, instance = names.Labels(platform.label_prefix), names.Instance.of(platform)
    try:
        if await client.find(f"/apis/{queues.KUEUE}") is None:
            raise ApplyError(
                f"Kueue's {queues.KUEUE} is not in this cluster: install Kueue 0.19 or newer first "
                "(see docs/kubernetes.md)."
            )
        present = await made_earlier(client, labels, instance)
        plan = Plan()
        outcomes = await at_once(lambda body: _compare(client, body, instance, labels, force=force), desired)
        for outcome in outcomes:
            if isinstance(outcome, str):
                plan.obstacles.append(outcome)
            elif isinstance(outcome, Change):
                plan.changes.append(outcome)
        plan.obstacles += ownership.sentences(
            each for each in outcomes if isinstance(each, ownership.Foreign)
        )
        _plan_removals(plan, present, desired)
        plan.before, plan.after = usage_check.Queues.of(present), usage_check.Queues.of(desired)
        plan.obstacles += await _hurt(client, platform, plan)
        facts, spaces = await kueue_check.read(client), await _namespace_labels(client, desired)
        unmet = list(kueue_check.obstacles(facts, platform, spaces))
        (plan.notes if force else plan.obstacles).extend(unmet)
        plan.notes += kueue_check.notes(facts, platform, spaces)
        plan.notes += await _about_nodes(client, platform)
    except KubeError as error:
        raise cannot(error) from error
    return plan


async def carry_out(client: KubeClient, platform: Platform, plan: Plan, *, force: bool = False) -> None:
    """Do what a plan says, in the order in which objects depend on each other.

    Raises
    ------
    ApplyError
        If there are obstacles (nothing was changed then), or a request failed on the way; doing it again goes on.
    """
    if not plan.obstacles:
        try:  # jobs may have come since the plan was made
            plan.obstacles += await _hurt(client, platform, plan)
        except KubeError as error:
            raise cannot(error) from error
    if plan.obstacles:
        raise ApplyError("\n".join(["Nothing was changed.", *plan.obstacles]))
    instance = names.Instance.of(platform)
    stages = sorted({kind.stage for kind in kinds.ALL})
    for stage in stages:
        todo = [c for c in plan.pending if c.kind.stage == stage and c.verb is not Verb.REMOVE]
        await at_once(lambda change: _do(client, change, instance, force=force), todo)
    for stage in reversed(stages):
        todo = [c for c in plan.pending if c.kind.stage == stage and c.verb is Verb.REMOVE]
        await at_once(lambda change: _do(client, change, instance, force=force), todo)


async def inactive_queues(
    client: KubeClient, platform: Platform, seconds: float = ACTIVE_SECONDS
) -> list[str]:
    """Wait until Kueue has taken the queues of a platform up; give a sentence for each that it has not.

    Parameters
    ----------
    seconds
        How long to wait at most.
    """
    instance = names.Instance.of(platform)
    waiting = [instance.cluster_queue(name) for name in platform.queues]
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        said = dict(zip(waiting, await at_once(lambda name: _inactive(client, name), waiting), strict=True))
        waiting = [name for name, why in said.items() if why]
        if not waiting or asyncio.get_running_loop().time() > deadline:
            return [f"ClusterQueue {name} admits no jobs yet: {said[name]}" for name in waiting]
        await asyncio.sleep(0.2)


def title(kind: ObjectKind, body: Json) -> str:
    """Return kind, namespace and name of an object, for people."""
    metadata = body["metadata"]
    place = f"{metadata['namespace']}/" if kind.namespaced else ""
    return f"{kind.name} {place}{metadata['name']}"


async def _compare(
    client: KubeClient, body: Json, instance: names.Instance, labels: names.Labels, *, force: bool
) -> Change | ownership.Foreign | str:
    """Return what applying an object would do, or why it cannot be applied."""
    kind = kinds.BY_NAME[body["kind"]]
    path = kind.path(body["metadata"])
    live = await client.find(path)
    if live is not None and (theirs := ownership.foreign(live, title(kind, body), instance, labels)):
        return theirs
    ours = live is not None and ownership.is_ours(live, instance)
    if live is not None and not ours and not kind.kept and not force:
        others = ", ".join(ownership.managers(live))
        return (
            f"{title(kind, body)} is there already and was not made by this command (but by {others or 'others'}). "
            "Rename or remove it, or take it over with --force."
        )
    try:
        result = await client.apply(path, body, manager=instance.field_manager, force=force, dry_run=True)
    except KubeError as error:
        if live is None and error.status == HTTPStatus.NOT_FOUND:  # its namespace comes with it
            return Change(Verb.CREATE, kind, body)
        if obstacle := _obstacle(kind, body, error):
            return obstacle
        raise
    if live is None:
        return Change(Verb.CREATE, kind, body)
    differing = fields(live, result)
    if not differing and ours:
        return Change(Verb.KEEP, kind, body)
    return Change(Verb.CHANGE, kind, body, differing)


def _obstacle(kind: ObjectKind, body: Json, error: KubeError) -> str | None:
    if error.status == HTTPStatus.CONFLICT:
        managers = ", ".join(sorted(set(_CONFLICT.findall(error.message)))) or "another field manager"
        places = ", ".join(one or other for one, other in _PLACE.findall(error.message))
        return (
            f"{title(kind, body)}: {places or 'a field'} is managed by {managers}. "
            "Take it out there, or take it over with --force."
        )
    if error.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        reason = error.message.partition(" is invalid: ")[2] or error.message
        return (
            f"{title(kind, body)} cannot be changed like that: {reason.strip().rstrip('.')}. "
            f"{_REMEDIES.get(kind.name, _DEFAULT_REMEDY)}"
        )
    return None


def _plan_removals(plan: Plan, present: Iterable[Json], desired: Iterable[Json]) -> None:
    stay = {_identity(each) for each in desired}
    for each in present:
        kind = kinds.BY_NAME[each["kind"]]
        if _identity(each) in stay:
            continue
        if kind.kept:
            plan.notes.append(
                f"{title(kind, each)} is no longer in the file; it stays, with all that is in it."
            )
        elif "deletionTimestamp" in each["metadata"]:
            plan.notes.append(f"{title(kind, each)} is being removed already.")
        else:
            plan.changes.append(Change(Verb.REMOVE, kind, each))


def _identity(body: Json) -> tuple[str, str, str]:
    metadata = body["metadata"]
    return body["kind"], metadata.get("namespace", ""), metadata["name"]


async def made_earlier(client: KubeClient, labels: names.Labels, instance: names.Instance) -> list[Json]:
    """Return what earlier runs for this instance made, by label and field manager."""
    selector = f"{labels.managed} in ({','.join(instance.marks)})"

    async def of_kind(kind: ObjectKind) -> list[Json]:
        listed = pages(client, kind.collection(), labelSelector=selector)
        try:
            found = [each async for each in listed if ownership.owners(each) == {instance.name}]
        except KubeError as error:
            if error.status == HTTPStatus.NOT_FOUND:  # Kueue is not there
                return []
            raise
        for each in found:  # the items of a list do not say what they are
            each["kind"] = kind.name
        return found

    return [each for group in await at_once(of_kind, kinds.ALL) for each in group]


async def _about_nodes(client: KubeClient, platform: Platform) -> list[str]:
    """Return the accelerators whose labels no node has, and the nodes that hand one device out several times."""
    reader, inventory = InventoryReader(platform), ClusterInventory(platform)
    try:
        async for each in pages(client, path_of("v1", "nodes")):
            inventory.see_node(None, reader.node(each))
    except KubeError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        return ["Whether the nodes fit the file cannot be told: this account may not list nodes."]
    return [sentence(each, platform) for each in inventory.notices()]


async def _namespace_labels(client: KubeClient, desired: Iterable[Json]) -> dict[str, dict[str, str]]:
    """Return the labels that the namespaces of the file will have, by name."""
    found = {}
    for each in desired:
        if each["kind"] != "Namespace":
            continue
        name = each["metadata"]["name"]
        live = await client.find(path_of("v1", "namespaces", name=name)) or {"metadata": {}}
        found[name] = {
            **(live["metadata"].get("labels") or {}),
            **each["metadata"]["labels"],
            "kubernetes.io/metadata.name": name,
        }
    return found


async def _hurt(client: KubeClient, platform: Platform, plan: Plan) -> list[str]:
    """Return which unfinished jobs the plan would hurt."""
    if not plan.before.lost(plan.after):
        return []
    spaces = sorted({namespace for namespace, _ in plan.before.local})
    found = [each async for each in _workloads(client, spaces)]
    labels, instance = names.Labels(platform.label_prefix), names.Instance.of(platform)
    return list(usage_check.obstacles(plan.before, plan.after, found, labels, instance))


async def _workloads(client: KubeClient, namespaces: Iterable[str]) -> AsyncIterator[Json]:
    for namespace in namespaces:
        async for each in pages(client, path_of(queues.KUEUE, "workloads", namespace=namespace)):
            yield each


async def pages(client: KubeClient, path: str, **query: str) -> AsyncIterator[Json]:
    """List a collection, a page at a time."""
    following: str | None = None
    while True:
        page = await client.get(path, limit=PAGE, **{"continue": following}, **query)
        for each in page["items"]:
            yield each
        if not (following := page["metadata"].get("continue")):
            return


async def _do(client: KubeClient, change: Change, instance: names.Instance, *, force: bool) -> None:
    path = change.kind.path(change.body["metadata"])
    try:
        if change.verb is Verb.REMOVE:
            uid = change.body["metadata"]["uid"]  # not a namesake that was made meanwhile
            await client.delete(path, preconditions={"uid": uid})
        else:
            await client.apply(path, change.body, manager=instance.field_manager, force=force)
    except KubeError as error:
        obstacle = _obstacle(change.kind, change.body, error)
        raise ApplyError(obstacle or f"{change.title}: {cannot(error)}") from error


async def _inactive(client: KubeClient, name: str) -> str:
    """Explain why a ClusterQueue is not active; nothing if it is."""
    found = await client.find(path_of(queues.KUEUE, "clusterqueues", name=name))
    conditions = (found or {}).get("status", {}).get("conditions", [])
    active = next((each for each in conditions if each["type"] == "Active"), None)
    if active is None:
        return "Kueue has not looked at it. Is its manager running?"
    return "" if active["status"] == "True" else str(active["message"])


async def at_once(function: Callable[[A], Awaitable[T]], items: Iterable[A]) -> list[T]:
    """Do something with many items, but not with too many at once; after an error nothing more is begun."""
    room = asyncio.Semaphore(AT_ONCE)
    errors: list[Exception] = []
    results: dict[int, T] = {}

    async def one(index: int, item: A) -> None:
        async with room:
            if errors:
                return
            try:
                results[index] = await function(item)
            except (KubeError, ApplyError) as error:
                errors.append(error)

    await asyncio.gather(*(one(index, item) for index, item in enumerate(items)))
    if errors:
        raise errors[0]
    return [result for _, result in sorted(results.items(), key=lambda pair: pair[0])]


def cannot(error: KubeError) -> ApplyError:
    """Return the sentence for a request that failed."""
    if error.status == HTTPStatus.FORBIDDEN:
        return ApplyError(
            f"This account may not do that: {error.message}. Use an administrator's kubeconfig."
        )
    if error.status == HTTPStatus.UNAUTHORIZED:
        return ApplyError("The API server does not accept these credentials. Renew the kubeconfig.")
    if "failed calling webhook" in error.message:
        return ApplyError(f"Kueue's manager does not answer the API server: {error.message}")
    if error.unreachable:
        return ApplyError(f"{error.message} Is the cluster up, and is this the right kubeconfig?")
    return ApplyError(f"The API server refused it: {error.message}")
