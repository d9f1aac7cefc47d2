"""What a namespace holds, of whatever kind, beside what Kubernetes puts into each by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiinfn_hub.kube.client import KubeClient, KubeError, path_of

from .apply import pages
from .first_few import first_few

Json = dict[str, Any]

_ALWAYS: Final = {
    ("ServiceAccount", "default"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "openshift-service-ca.crt"),
}
_OF_NO_WEIGHT: Final = {"Event", "EndpointSlice", "Endpoints"}
"""Made by Kubernetes about something else."""
_VIEWS: Final = {"metrics.k8s.io", "visibility.kueue.x-k8s.io"}
"""Groups that keep no objects: they show others in another way."""
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class _Resource:
    version: str
    plural: str
    kind: str


async def told(client: KubeClient, namespace: str, goes: Callable[[str, Json], bool]) -> str:
    """Return what a namespace holds, for people; nothing if it is empty.

    Parameters
    ----------
    goes
        Whether an object, given with its kind, is about to go and does not count.
    """
    found: list[str] = []
    try:
        resources = await _resources(client)
    except KubeError as error:
        return f"what it holds cannot be told ({error.message})"
    for each in resources:
        try:
            path = path_of(each.version, each.plural, namespace=namespace)
            left = [
                item["metadata"]["name"]
                async for item in pages(client, path)
                if _counts(each.kind, item, goes)
            ]
        except KubeError as error:
            return f"whether it holds {each.plural} cannot be told ({error.message})"
        if left:
            found.append(f"{each.kind} {first_few(left, _SHOWN)}")
    return f"it holds {'; '.join(found)}" if found else ""


def _counts(kind: str, item: Json, goes: Callable[[str, Json], bool]) -> bool:
    metadata = item["metadata"]
    if (kind, metadata["name"]) in _ALWAYS or goes(kind, item):
        return False
    # It goes with what it belongs to, which counts itself.
    return not metadata.get("ownerReferences")


async def _resources(client: KubeClient) -> list[_Resource]:
    """Return every kind of object that a namespace can hold."""
    versions = ["v1"]
    groups = (await client.get("/apis"))["groups"]
    versions += [group["preferredVersion"]["groupVersion"] for group in groups if group["name"] not in _VIEWS]
    found: dict[tuple[str, str], _Resource] = {}
    for version in versions:
        path = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        for each in (await client.get(path))["resources"]:
            if not each["namespaced"] or "/" in each["name"] or "list" not in each["verbs"]:
                continue
            if each["kind"] not in _OF_NO_WEIGHT:
                found.setdefault((version, each["name"]), _Resource(version, each["name"], each["kind"]))
    return list(found.values())
