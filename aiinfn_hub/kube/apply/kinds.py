"""The kinds of objects that the suite makes for a site: where each lies, in the order of their creation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiinfn_hub.kube.client import path_of
from aiinfn_hub.kube.objects.queues import KUEUE

Json = dict[str, Any]
RBAC: Final = "rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object.

    Attributes
    ----------
    stage
        Objects of a lower stage exist before those of a higher one are created; pruning goes the other way.
    kept
        Never pruned: whatever people have in it would go with it.
    """

    name: str
    version: str
    plural: str
    stage: int
    namespaced: bool = False
    kept: bool = False

    def collection(self) -> str:
        """Give the path of all objects of the kind, in every namespace."""
        return path_of(self.version, self.plural)

    def path(self, metadata: Json) -> str:
        """Give the path of one object."""
        namespace = metadata["namespace"] if self.namespaced else None
        return path_of(self.version, self.plural, namespace=namespace, name=metadata["name"])


ALL: Final = (
    Kind("Namespace", "v1", "namespaces", 0, kept=True),
    Kind("PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", 0),
    Kind("Topology", KUEUE, "topologies", 0),
    Kind("WorkloadPriorityClass", KUEUE, "workloadpriorityclasses", 0),
    Kind("ServiceAccount", "v1", "serviceaccounts", 1, namespaced=True),
    Kind("ClusterRole", RBAC, "clusterroles", 1),
    Kind("Role", RBAC, "roles", 1, namespaced=True),
    Kind("ResourceFlavor", KUEUE, "resourceflavors", 1),
    Kind("ClusterRoleBinding", RBAC, "clusterrolebindings", 2),
    Kind("RoleBinding", RBAC, "rolebindings", 2, namespaced=True),
    Kind("Cohort", KUEUE, "cohorts", 2),
    Kind("ClusterQueue", KUEUE, "clusterqueues", 3),
    Kind("LocalQueue", KUEUE, "localqueues", 4, namespaced=True),
)
BY_NAME: Final = {kind.name: kind for kind in ALL}
