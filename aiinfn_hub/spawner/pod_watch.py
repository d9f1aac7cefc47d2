"""kubespawner's watch on pods, which also keeps how a pod was when it went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kubespawner.spawner import PodReflector

MOST_GONE: Final = 500
"""Pods that went and are remembered; each is asked for within seconds, when its session is looked at."""

Json = dict[str, Any]


class KnownPods(dict[str, Json]):
    """Pods by ``namespace/name`` as a watch has them.

    Attributes
    ----------
    gone
        Those that went, as they were last, until there is another one of that name.
    """

    def __init__(self, pods: Mapping[str, Json], before: Mapping[str, Json]) -> None:
        super().__init__(pods)
        self.gone: dict[str, Json] = dict(before.gone) if isinstance(before, KnownPods) else {}
        for key in pods:
            self.gone.pop(key, None)
        for key in before.keys() - pods.keys():
            self._went(key, before[key])

    def __setitem__(self, key: str, pod: Json) -> None:
        self.gone.pop(key, None)
        super().__setitem__(key, pod)

    def pop(self, key: str, *default: Any) -> Any:
        """Remove a pod, and remember how it was."""
        if key in self:
            self._went(key, self[key])
        return super().pop(key, *default)

    def _went(self, key: str, pod: Json) -> None:
        self.gone[key] = pod
        while len(self.gone) > MOST_GONE:
            del self.gone[next(iter(self.gone))]


class SessionPods(PodReflector):
    """A watch from which the reason can be had why a pod ended, also when that took it less than the time between two looks."""

    resources: Any

    async def _list_and_update(self, resource_version: str | None = None) -> Any:
        before = self.resources
        version = await super()._list_and_update(resource_version)
        self.resources = KnownPods(self.resources, before)
        return version

    @property
    def gone(self) -> Mapping[str, Json]:
        """Pods that went, as they were last."""
        return self.resources.gone if isinstance(self.resources, KnownPods) else {}
