"""Which unfinished jobs a change of the queues would hurt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiinfn_hub.kube import names

from .first_few import first_few

Json = dict[str, Any]

_SHOWN: Final = 20
"""Jobs that a sentence names; of more it says how many."""


@dataclass(frozen=True, slots=True)
class RunningJob:
    """An unfinished job as Kueue knows it."""

    name: str
    owner: str
    running: bool

    def __str__(self) -> str:
        return f"{self.name} of {self.owner} ({'running' if self.running else 'waiting'})"


@dataclass(frozen=True)
class Queues:
    """Where jobs may wait, and what each queue serves.

    Attributes
    ----------
    local
        Namespace and name of a LocalQueue -> its ClusterQueue.
    flavors
        ClusterQueue -> its flavors.
    """

    local: Mapping[tuple[str, str], str] = field(default_factory=dict)
    flavors: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, objects: Iterable[Json]) -> Self:
        """Read them from objects; those of other kinds are left aside."""
        local, flavors = {}, {}
        for each in objects:
            metadata, spec = each["metadata"], each.get("spec", {})
            if each["kind"] == "LocalQueue":
                local[metadata["namespace"], metadata["name"]] = spec["clusterQueue"]
            elif each["kind"] == "ClusterQueue":
                flavors[metadata["name"]] = frozenset(
                    flavor["name"] for group in spec.get("resourceGroups", []) for flavor in group["flavors"]
                )
        return cls(local, flavors)

    def lost(self, after: Queues) -> bool:
        """Whether anything of these is not in ``after``: only then can a job be hurt."""
        return bool(self.local.keys() - after.local.keys()) or any(
            flavors - after.flavors.get(name, frozenset()) for name, flavors in self.flavors.items()
        )


def obstacles(
    before: Queues,
    after: Queues,
    workloads: Iterable[Json],
    labels: names.Labels,
    instance: names.Instance,
) -> Iterator[str]:
    """Return for each queue and accelerator that would go with jobs in it which jobs those are."""
    hurt: dict[str, list[RunningJob]] = {}
    for workload in workloads:
        if _over(workload):
            continue
        place = workload["metadata"]["namespace"], workload["spec"].get("queueName", "")
        if place not in before.local:
            continue
        queue = after.local.get(place)
        if queue is None:
            what = f"LocalQueue {'/'.join(place)} (of ClusterQueue {before.local[place]}) cannot be removed"
            hurt.setdefault(what, []).append(_job(workload, labels))
            continue
        lost = before.flavors.get(queue, frozenset()) - after.flavors.get(queue, frozenset())
        for flavor in sorted(_flavors(workload, labels, instance) & lost):
            what = f"ClusterQueue {queue} cannot lose the flavor {flavor}"
            hurt.setdefault(what, []).append(_job(workload, labels))
    for what, jobs in hurt.items():
        number = "1 job needs" if len(jobs) == 1 else f"{len(jobs)} jobs need"
        yield f"{what}: {number} it: {first_few(jobs, _SHOWN)}. Let them end or cancel them first."


def finished(workload: Json) -> bool:
    """Return whether Kueue calls a Workload finished."""
    conditions = (workload.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Finished" and each["status"] == "True" for each in conditions)


def _over(workload: Json) -> bool:
    return finished(workload) or "deletionTimestamp" in workload["metadata"]


def _template(workload: Json) -> Json:
    sets = workload["spec"].get("podSets") or [{}]
    found: Json = sets[0].get("template", {}).get("metadata", {})
    return found


def _assigned(workload: Json) -> frozenset[str]:
    sets = (workload.get("status", {}).get("admission") or {}).get("podSetAssignments", [])
    return frozenset(flavor for each in sets for flavor in each.get("flavors", {}).values())


def _flavors(workload: Json, labels: names.Labels, instance: names.Instance) -> frozenset[str]:
    """Return the flavors that a job has, or the one that it waits for."""
    if assigned := _assigned(workload):
        return assigned
    wanted = _template(workload).get("annotations", {}).get(labels.accelerator)
    return frozenset({instance.flavor(wanted)}) if wanted else frozenset()


def _job(workload: Json, labels: names.Labels) -> RunningJob:
    metadata, template = workload["metadata"], _template(workload)
    owners = metadata.get("ownerReferences") or [metadata]
    said = {**template.get("labels", {}), **template.get("annotations", {})}
    return RunningJob(owners[0]["name"], said.get(labels.user, "an unknown owner"), bool(_assigned(workload)))
