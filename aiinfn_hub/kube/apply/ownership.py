"""Whose an object of the cluster is: this platform's, another platform's, or somebody else's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiinfn_hub.kube import names

from .first_few import first_few

Json = Mapping[str, Any]

_SHOWN: Final = 8
"""Objects that a sentence names; of more it says how many."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """An object of this platform's name that another platform has made.

    Attributes
    ----------
    first
        Whether an older version made it, in which a platform had no instance name.
    """

    title: str
    owner: str
    first: bool


def owners(body: Json) -> frozenset[str]:
    """Return the instances that applied an object."""
    found = (
        names.instance_of_manager(each.get("manager", ""))
        for each in body["metadata"].get("managedFields", ())
        if each.get("operation") == "Apply"
    )
    return frozenset(each for each in found if each is not None)


def managers(body: Json, *, of_status: bool = True) -> list[str]:
    """Return the field managers of an object by name; without those of its subresources, such as the status, if so asked."""
    fields = body["metadata"].get("managedFields", ())
    return sorted({each["manager"] for each in fields if of_status or not each.get("subresource")})


def is_ours(body: Json, instance: names.Instance) -> bool:
    """Return whether this platform applied an object."""
    return instance.name in owners(body)


def foreign(body: Json, title: str, instance: names.Instance, labels: names.Labels) -> Foreign | None:
    """Return what is to be said of an object that another platform has applied; None if none has."""
    others = owners(body) - {instance.name}
    if not others:
        return None
    owner = min(others)
    mark = body["metadata"].get("labels", {}).get(labels.managed)
    return Foreign(title, owner, owner == names.FIRST_INSTANCE and mark == names.FIRST_MARK)


def sentences(found: Iterable[Foreign]) -> Iterator[str]:
    """Say, once for each other platform, what of it is in the way and what to do."""
    by_owner: dict[str, list[Foreign]] = {}
    for each in found:
        by_owner.setdefault(each.owner, []).append(each)
    for owner, theirs in by_owner.items():
        shown = first_few([each.title for each in theirs], _SHOWN)
        line = f"instance: {owner}"
        if any(each.first for each in theirs):
            yield (
                f"{shown}: made by an older version, in which every platform was the instance {owner}. To keep all that, "
                f"with the jobs in its queues, write {line} under kubernetes. To go on under another name, remove it first, with "
                "that line in the file: aiinfn-hub kueue remove."
            )
        else:
            yield (
                f"{shown}: of another platform in this cluster, {owner}, which is never changed. If that is this same "
                f"platform, write {line} under kubernetes; if not, give this one namespaces and an instance name of its own there."
            )
