"""Service accounts of the hub and of vkd, and what each may do in the cluster.

The hub starts and stops pods of sessions, writes on them when they end, and knows of nothing else. vkd makes Jobs in the batch namespace, steers
their Workloads, and reads nodes and pods everywhere for the inventory. Neither may read a secret, enter a pod or give
rights away, and the pods of people have no account at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from aiinfn_hub.kube import names
from aiinfn_hub.platform.model.platform import Platform

Json = dict[str, Any]

HUB: Final = "aiinfn-hub"
VKD: Final = "aiinfn-vkd"
"""Names of the service accounts, in the system namespace."""

_RBAC: Final = "rbac.authorization.k8s.io/v1"
_READ: Final = ("get", "list", "watch")

HUB_IN_SESSIONS: Final = (
    ("", ("pods",), (*_READ, "create", "delete", "patch")),  # patch: the end of a session that was extended
    ("", ("events",), _READ),  # why a session does not start
)
VKD_IN_BATCH: Final = (
    (
        "batch",
        ("jobs",),
        (*_READ, "create", "delete", "patch"),
    ),  # patch: the time limit, once the container runs
    ("", ("pods",), _READ),
    ("", ("pods/log",), ("get",)),
    ("", ("events",), _READ),
    ("kueue.x-k8s.io", ("workloads",), (*_READ, "patch")),  # spec.active: preempt through Kueue
    ("visibility.kueue.x-k8s.io", ("localqueues/pendingworkloads",), ("get",)),
)
VKD_EVERYWHERE: Final = (("", ("nodes", "pods"), _READ),)

_Rules = tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]


def objects(platform: Platform) -> list[Json]:
    """Make the service accounts, Roles and bindings of a platform, in the order of their creation."""
    settings, instance = platform.kubernetes, names.Instance.of(platform)
    found = [
        *(
            _object("v1", "ServiceAccount", account, settings.system_namespace)
            | {"automountServiceAccountToken": False}
            for account in (HUB, VKD)
        ),
        *_grant(settings.system_namespace, HUB, HUB_IN_SESSIONS, HUB, settings.sessions_namespace),
        *_grant(settings.system_namespace, VKD, VKD_IN_BATCH, VKD, settings.batch_namespace),
        *_grant(settings.system_namespace, VKD, VKD_EVERYWHERE, instance.cluster_role("vkd")),
    ]
    managed = names.Labels(platform.label_prefix).managed
    for each in found:
        each["metadata"]["labels"] = {managed: instance.name}
    return found


def _grant(system: str, account: str, rules: _Rules, role: str, namespace: str = "") -> Iterator[Json]:
    """Make a role and its binding; of the whole cluster where no namespace is given."""
    kind = "Role" if namespace else "ClusterRole"
    yield _object(_RBAC, kind, role, namespace) | {
        "rules": [
            {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
            for group, resources, verbs in rules
        ]
    }
    yield _object(_RBAC, f"{kind}Binding", role, namespace) | {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": system}],
    }


def _object(version: str, kind: str, name: str, namespace: str = "") -> Json:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
