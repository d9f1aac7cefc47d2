"""The kinds of objects that the suite makes for a site: where each lies, in the order of their creation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiinfn_hub.kube.client import path_of
from aiinfn_hub.kube.objects.queues import KUEUE

Json = dict[str, Any]
RBAC: Final = "rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class ObjectKind:
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
        """Return the path of all objects of the kind, in every namespace."""
        return path_of(self.version, self.plural)

    def path(self, metadata: Json) -> str:
        """Return the path of one object."""
        namespace = metadata["namespace"] if self.namespaced else None
        return path_of(self.version, self.plural, namespace=namespace, name=metadata["name"])


ALL: Final = (
    ObjectKind("Namespace", "v1", "namespaces", 0, kept=True),
    ObjectKind("PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", 0),
    ObjectKind("Topology", KUEUE, "topologies", 0),
    ObjectKind("WorkloadPriorityClass", KUEUE, "workloadpriorityclasses", 0),
    ObjectKind("ServiceAccount", "v1", "serviceaccounts", 1, namespaced=True),
    ObjectKind("ClusterRole", RBAC, "clusterroles", 1),
    ObjectKind("Role", RBAC, "roles", 1, namespaced=True),
    ObjectKind("ResourceFlavor", KUEUE, "resourceflavors", 1),
    ObjectKind("ClusterRoleBinding", RBAC, "clusterrolebindings", 2),
    ObjectKind("RoleBinding", RBAC, "rolebindings", 2, namespaced=True),
    ObjectKind("Cohort", KUEUE, "cohorts", 2),
    ObjectKind("ClusterQueue", KUEUE, "clusterqueues", 3),
    ObjectKind("LocalQueue", KUEUE, "localqueues", 4, namespaced=True),
)
BY_NAME: Final = {kind.name: kind for kind in ALL}
