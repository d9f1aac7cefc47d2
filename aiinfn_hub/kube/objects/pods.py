"""From what was granted to the parts of a pod: a session and a job are two projections of one `Selection`.

Everything here is pure and gives plain JSON in Kubernetes' own words. What it gives passes the *restricted* Pod Security
Standard (https://kubernetes.io/docs/concepts/security/pod-security-standards/) and holds no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiinfn_hub.contract import posix_accounts
from aiinfn_hub.contract.units import format_quantity
from aiinfn_hub.kube import names
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.settings import KubernetesSettings
from aiinfn_hub.platform.model.storage import Storage, StorageUse
from aiinfn_hub.platform.model.storage_kinds.base import Whose
from aiinfn_hub.platform.selection import Door, Selection

Json = dict[str, Any]

DEFAULT_HOME: Final = "/home/user"
"""Home of a project without a storage of that kind: an empty folder that goes with the pod."""
EMPTY_HOME: Final = "empty-home"
ACCOUNT_FILES: Final = {
    "passwd": "/etc/passwd",
    "group": "/etc/group",
    "profile": f"/etc/profile.d/{posix_accounts.PROFILE_FILE}",
}
"""Files that each pod gets out of annotations of these names, and where: an image has no entry for a person's uid."""
ACCOUNT_VOLUME: Final = "account-files"
SHARED_MEMORY: Final = "shared-memory"
"""Volume at /dev/shm: the 64 MiB that a container gets there otherwise end every parallel data loader."""
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class PodParts:
    """All of a pod that follows from a `Selection`; the fields are named as in Kubernetes.

    Attributes
    ----------
    labels, annotations
        Under the platform's prefix: kind, user, project, accelerator, count; of labels also the instance. A label holds the slug of a name, an
        annotation the name itself.
    environment
        Holds no secret.
    home
        Absolute path of the person's home in the container; also its working directory.
    resources
        ``requests`` and ``limits``. Memory has the same in both, so no pod can push another one out by growing. Cores
        are requested and, but for ``kubernetes.cpu_limit_ratio``, not limited: the kernel shares a busy node in proportion to
        the requests, so everybody gets what was chosen, while a limit would slow a session down beside idle cores.
    affinity
        The accelerator's node labels as a requirement, never a preference: another model would be another
        experiment. None if any node will do.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    image: str
    image_pull_policy: str
    environment: dict[str, str]
    home: str
    resources: dict[str, dict[str, str]]
    affinity: Json | None
    tolerations: list[Json]
    priority_class_name: str
    volumes: list[Json]
    volume_mounts: list[Json]
    pod_security_context: Json
    container_security_context: Json


def pod_parts(selection: Selection, platform: Platform) -> PodParts:
    """Return what a pod is made of that runs what was granted.

    Parameters
    ----------
    selection
        It carries its own image, size and accelerator, so that a queued job keeps what it was granted.
    platform
        For storage, the security settings and names of the cluster.
    """
    settings = platform.kubernetes
    home = home_of(platform, selection.project)
    volumes, mounts = _volumes(selection, platform, home)
    labels, annotations = _marks(selection, platform)
    annotations |= _account_files(selection, platform, home)
    job, instance = selection.door is Door.JOB, names.Instance.of(platform)
    return PodParts(
        labels=labels,
        annotations=annotations,
        image=selection.image.kubernetes.reference,
        image_pull_policy=settings.image_pull_policy,
        environment=_environment(selection, home),
        home=home,
        resources=_resources(selection, settings.cpu_limit_ratio),
        affinity=_affinity(selection.accelerator),
        tolerations=[dict(toleration) for toleration in _tolerations(selection.accelerator)],
        priority_class_name=instance.batch_priority_class if job else instance.session_priority_class,
        volumes=volumes,
        volume_mounts=mounts,
        pod_security_context=_pod_security(settings),
        container_security_context=_container_security(),
    )


def pod_spec(
    parts: PodParts,
    *,
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    grace_seconds: int,
    extra_volumes: Iterable[Json] = (),
    extra_mounts: Iterable[Json] = (),
) -> Json:
    """Put a whole pod spec with one container together.

    Parameters
    ----------
    name
        Of the container.
    environment
        Added to that of the parts, over which it has the last word.
    grace_seconds
        Between SIGTERM and SIGKILL.
    extra_volumes, extra_mounts
        Beside those of the parts, as in a pod.

    Notes
    -----
    The processes of the pod share one process namespace, so that the first process is the pause container: as the first, a
    program without a handler for SIGTERM would ignore the signal and cost its whole grace period, and nobody would
    reap the orphans.
    """
    spec: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": grace_seconds,
        "priorityClassName": parts.priority_class_name,
        "securityContext": parts.pod_security_context,
        "volumes": [*parts.volumes, *extra_volumes],
        "containers": [
            {
                "name": name,
                "image": parts.image,
                "imagePullPolicy": parts.image_pull_policy,
                "command": list(command),
                "workingDir": parts.home,
                "env": [
                    {"name": key, "value": value}
                    for key, value in {**parts.environment, **environment}.items()
                ],
                "resources": parts.resources,
                "volumeMounts": [*parts.volume_mounts, *extra_mounts],
                "securityContext": parts.container_security_context,
            }
        ],
    }
    if parts.affinity is not None:
        spec["affinity"] = parts.affinity
    if parts.tolerations:
        spec["tolerations"] = parts.tolerations
    return spec


def home_of(platform: Platform, project: str) -> str:
    """Return the absolute path of people's homes in the containers of a project."""
    homes = (storage for storage in _storage_of(platform, project).values() if storage.use is StorageUse.HOME)
    home = next(homes, None)
    return home.mount if home else DEFAULT_HOME


def storage_volume(name: str) -> str:
    """Name the volume of a storage of the platform file in a pod."""
    return names.slug(f"storage-{name}")


def _marks(selection: Selection, platform: Platform) -> tuple[dict[str, str], dict[str, str]]:
    keys = names.Labels(platform.label_prefix)
    said = {
        keys.kind: selection.door.value,
        keys.user: selection.person,
        keys.project: selection.project,
        keys.accelerator: selection.accelerator_name,
    }
    labels = {key: names.slug(value) for key, value in said.items()}
    labels[keys.managed] = names.Instance.of(platform).name
    # A number is no DNS label, but a fine label value.
    count = {keys.count: str(selection.count)}
    return labels | count, said | count


def _account_files(selection: Selection, platform: Platform, home: str) -> dict[str, str]:
    """Return the annotations that hold a pod's account files."""
    uid, gid = platform.kubernetes.user_id, platform.kubernetes.group_id
    login = posix_accounts.login_name(selection.person, names.slug(selection.person))
    texts = {
        "passwd": posix_accounts.passwd(
            posix_accounts.BASE_ACCOUNTS, login, uid, gid, selection.person, home, "/bin/bash"
        ),
        "group": posix_accounts.group(posix_accounts.BASE_GROUPS, login, gid),
        "profile": posix_accounts.PROFILE,
    }
    keys = names.Labels(platform.label_prefix)
    return {keys.account_file(name): text for name, text in texts.items()}


def _account_volume(platform: Platform) -> Json:
    keys = names.Labels(platform.label_prefix)
    items = [
        {"path": name, "fieldRef": {"fieldPath": f"metadata.annotations['{keys.account_file(name)}']"}}
        for name in ACCOUNT_FILES
    ]
    # Read by everybody in the container, and only read.
    return {"name": ACCOUNT_VOLUME, "downwardAPI": {"defaultMode": 0o444, "items": items}}


def _environment(selection: Selection, home: str) -> dict[str, str]:
    return {
        **selection.image.kubernetes.environment,
        "HOME": home,
        "AIINFN_PROJECT": selection.project,
        "AIINFN_ACCELERATOR": selection.accelerator_name,
        "AIINFN_COUNT": str(selection.count),
        "AIINFN_IMAGE": selection.image_name,
        "AIINFN_SIZE": selection.size_name,
    }


def _resources(selection: Selection, cpu_limit_ratio: float | None) -> dict[str, dict[str, str]]:
    both = {"memory": format_quantity(selection.size.memory)}
    if selection.accelerator is not None:
        # Extended resources are whole devices, the same in requests and limits.
        both[selection.accelerator.kubernetes.resource] = str(selection.count)
    cores = selection.size.cores
    most = {"cpu": _cores(cores * cpu_limit_ratio)} if cpu_limit_ratio else {}
    return {"requests": {"cpu": _cores(cores), **both}, "limits": most | both}


def _cores(cores: float) -> str:
    thousandths = max(round(cores * 1000), 1)
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def avoiding(affinity: Json | None, nodes: Iterable[str]) -> Json | None:
    """Return an affinity that also keeps a pod off some nodes, by their names."""
    # Kubernetes takes one name in each of these.
    off = [
        {"key": "metadata.name", "operator": "NotIn", "values": [node]} for node in sorted(frozenset(nodes))
    ]
    if not off:
        return affinity
    required = ((affinity or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}
    terms = [{**term, "matchFields": off} for term in required.get("nodeSelectorTerms") or [{}]]
    return {**(affinity or {}), "nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": terms}}}


def _affinity(accelerator: Accelerator | None) -> Json | None:
    if accelerator is None or not accelerator.kubernetes.node_labels:
        return None
    expressions = [
        {"key": key, "operator": "In", "values": [value]}
        for key, value in accelerator.kubernetes.node_labels.items()
    ]
    required = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    return {"nodeAffinity": {_REQUIRED: required}}


def _tolerations(accelerator: Accelerator | None) -> tuple[Json, ...]:
    return accelerator.kubernetes.tolerations if accelerator else ()


def _storage_of(platform: Platform, project: str) -> dict[str, Storage]:
    return {
        name: storage
        for name, storage in platform.storage.items()
        if storage.projects is None or project in storage.projects
    }


def _volumes(selection: Selection, platform: Platform, home: str) -> tuple[list[Json], list[Json]]:
    half = {"medium": "Memory", "sizeLimit": format_quantity(selection.size.memory // 2)}
    volumes: list[Json] = [{"name": SHARED_MEMORY, "emptyDir": half}]
    mounts: list[Json] = [{"name": SHARED_MEMORY, "mountPath": "/dev/shm"}]  # noqa: S108 - a mount, no file
    whose = Whose(names.slug(selection.person), names.slug(selection.project))
    for name, storage in _storage_of(platform, selection.project).items():
        if selection.storage is not None and name not in selection.storage:
            continue
        volume = storage_volume(name)
        source = storage.kubernetes
        volumes.append({**(source.pod_volume(whose) if source else {"emptyDir": {}}), "name": volume})
        mount: Json = {"name": volume, "mountPath": storage.mount}
        if source:
            mount |= source.pod_mount(whose)
        if storage.read_only:
            mount["readOnly"] = True
        mounts.append(mount)
    settings = platform.kubernetes
    volumes += [dict(volume) for volume in settings.volumes]
    mounts += [dict(mount) for mount in settings.volume_mounts]
    # An operator's own file at such a place goes first.
    taken = {mount["mountPath"] for mount in mounts}
    volumes.append(_account_volume(platform))
    mounts += [
        {"name": ACCOUNT_VOLUME, "mountPath": path, "subPath": name, "readOnly": True}
        for name, path in ACCOUNT_FILES.items()
        if path not in taken
    ]
    if home not in taken:
        volumes.append({"name": EMPTY_HOME, "emptyDir": {}})
        mounts.append({"name": EMPTY_HOME, "mountPath": home})
    return volumes, mounts


def _pod_security(settings: KubernetesSettings) -> Json:
    return {
        "runAsNonRoot": True,
        "runAsUser": settings.user_id,
        "runAsGroup": settings.group_id,
        "fsGroup": settings.group_id,
        # Else the kubelet walks through a whole home at each start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container_security() -> Json:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
