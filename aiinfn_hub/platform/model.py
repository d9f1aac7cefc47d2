"""The platform file as typed objects: what there is, and the conditions on using it.

One file (``platform.yaml``) describes the platform; `aiinfn_hub.platform.loader` reads it. Everything else in the
suite gets a `Platform` and takes names, limits and resource names from it, never from code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from .units import Duration, Memory

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$")]
"""A key of the platform file: lower-case letters, digits, ``-`` and ``.``, at most 63 (a DNS label, nearly)."""

CPU_ONLY = "none"
"""The accelerator name that means: none."""


def _group_path(value: str) -> str:
    """Keep an IAM group as its whole path without the leading slash, as INDIGO IAM's ``groups`` claim has it."""
    path = value.strip("/")
    if not path or any(not part.strip() for part in path.split("/")):
        raise ValueError(f"'{value}' is no IAM group path; write for example ai-infn/flavour-physics")
    return path


GroupPath = Annotated[str, AfterValidator(_group_path)]
"""An IAM group as a path; ``a/x`` and ``b/x`` are two groups."""


EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an environment variable."""

VOLUME_SOURCES: Final = (
    "persistentVolumeClaim",
    "csi",
    "ephemeral",
    "emptyDir",
    "configMap",
    "secret",
    "projected",
    "downwardAPI",
)
"""The kinds of volumes that a pod may name under the restricted Pod Security Standard."""


def _volume_source(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse a volume with which the API server would refuse every session."""
    kinds = [key for key in value if key != "name"]
    if len(kinds) != 1:
        raise ValueError(
            "a volume has one source; write for example {persistentVolumeClaim: {claimName: homes}}"
        )
    if kinds[0] not in VOLUME_SOURCES:
        raise ValueError(
            f"the restricted Pod Security Standard forbids {kinds[0]} in a pod; make it a PersistentVolume, "
            "and name its claim here as {persistentVolumeClaim: {claimName: homes}}"
        )
    return value


def _folder(value: str) -> str:
    """Keep a folder inside its volume."""
    parts = value.replace("{person}", "x").replace("{project}", "x").split("/")
    if any(part in {"", ".", ".."} for part in parts) or "{" in "".join(parts):
        raise ValueError(f"'{value}' is no folder in a volume; write for example homes/{{person}}")
    return value


VolumeSource = Annotated[dict[str, Any], AfterValidator(_volume_source)]
"""A volume as in a pod, of a kind that everybody's pods may use."""
Folder = Annotated[str, AfterValidator(_folder)]
"""A relative path in a volume; ``{person}`` and ``{project}`` stand for their slugs."""


class BadName(ValueError):  # noqa: N818 - it is a finding about the file
    """A name in the file is reserved, or nothing in the file has it.

    Attributes
    ----------
    key
        Where the name stands, as keys and list indices from the top of the file.
    """

    def __init__(self, key: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.key = key


class _Section(BaseModel):
    """Base of every part of the file: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AcceleratorKind(StrEnum):
    """How the hardware is shared out."""

    GPU = "gpu"
    MIG = "mig"
    FPGA = "fpga"


class Accelerator(_Section):
    """One kind of device that a session or a job can ask for by name."""

    title: str = Field(min_length=1, max_length=60)
    kind: AcceleratorKind
    resource: str = Field(
        pattern=r"^[a-z0-9.-]+/[A-Za-z0-9_.-]+$", description="Kubernetes resource name, e.g. nvidia.com/gpu"
    )
    node_labels: dict[str, str] = Field(
        default_factory=dict, description="labels that a node must have, e.g. the GPU product"
    )
    product: str | None = Field(
        default=None, description="NVML product name on a workstation, e.g. Tesla T4; * takes any"
    )
    memory: Memory | None = None
    description: str = Field(default="", max_length=200, description="what it is good for, in one line")
    max_per_session: int = Field(default=1, ge=1, le=64)
    max_per_job: int = Field(default=1, ge=1, le=64)
    session_time: Duration | None = Field(
        default=None, description="longest session with it; default: limits.session_max"
    )
    quota: int | None = Field(
        default=None,
        ge=0,
        description="Kubernetes: devices that batch may use in all; default: every one there is",
    )
    tolerations: tuple[dict[str, str | int], ...] = Field(
        default=(), description="Kubernetes: of the nodes that carry it"
    )
    simulated: int = Field(
        default=0, ge=0, le=1024, description="pretended devices of the local back end, shown as simulated"
    )


class Image(_Section):
    """An environment: an OCI image on Kubernetes, an interpreter prefix on the local back end."""

    title: str = Field(min_length=1, max_length=80)
    reference: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$", description="OCI image reference")
    description: str = Field(default="", max_length=200)
    local_prefix: str | None = Field(
        default=None,
        description="sys.prefix of the Python environment used by the local back end; default: the hub's own",
    )
    accelerators: tuple[Name, ...] | None = Field(
        default=None, description="accelerators it is built for; default: all, and none"
    )
    environment: dict[EnvironmentName, str] = Field(
        default_factory=dict, description="Kubernetes: variables of sessions and jobs, e.g. PATH; no secrets"
    )


class Size(_Section):
    """Processor cores and memory of a session or a job."""

    title: str = Field(min_length=1, max_length=60)
    cores: float = Field(gt=0, le=1024)
    memory: Memory


class Project(_Section):
    """People who share allowances and queues, told by their IAM groups."""

    title: str = Field(min_length=1, max_length=80)
    groups: tuple[GroupPath, ...] = Field(min_length=1)
    managers: tuple[GroupPath, ...] = Field(
        default=(), description="IAM groups whose members manage this project"
    )
    accelerators: tuple[Name, ...] | None = Field(
        default=None, description="what it may use; default: everything"
    )
    sizes: tuple[Name, ...] | None = Field(default=None, description="what it may use; default: everything")
    images: tuple[Name, ...] | None = Field(default=None, description="what it may use; default: everything")


class Queue(_Section):
    """A line in which batch jobs wait, open to some projects and for some accelerators."""

    title: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=200)
    projects: tuple[Name, ...] | None = Field(default=None, description="default: every project")
    accelerators: tuple[Name, ...] | None = Field(
        default=None, description="default: all, and none (CPU only)"
    )
    priority: int = Field(default=0, ge=-1000, le=1000, description="higher starts first")
    max_time: Duration | None = Field(default=None, description="longest job; default: limits.job_max")


class StorageKind(StrEnum):
    """How a folder reaches a session."""

    HOME = "home"
    SHARE = "share"
    SCRATCH = "scratch"


class Storage(_Section):
    """A folder that sessions and jobs see."""

    title: str = Field(min_length=1, max_length=80)
    kind: StorageKind
    mount: str = Field(pattern=r"^(/[A-Za-z0-9._-]+)+$")
    projects: tuple[Name, ...] | None = Field(default=None, description="default: every project")
    volume: VolumeSource | None = Field(
        default=None,
        description="Kubernetes: the volume's source as in a pod, e.g. {persistentVolumeClaim: {claimName: homes}}; "
        "default: an emptyDir",
    )
    sub_path: Folder | None = Field(
        default=None,
        description="Kubernetes: folder in the volume; {person} and {project} become their slugs. The kubelet makes it "
        "like the volume's own top folder, which kubernetes.group_id must therefore be able to write to",
    )
    read_only: bool = False


class KubernetesSettings(_Section):
    """Where things are in the cluster; used by the ``kubernetes`` back end only."""

    sessions_namespace: Name = "aiinfn-sessions"
    batch_namespace: Name = "aiinfn-batch"
    system_namespace: Name = Field(
        default="aiinfn-system", description="of hub and vkd, and of their service accounts"
    )
    session_priority: int = Field(default=1_000_000, ge=1, le=1_000_000_000)
    batch_priority: int = Field(default=-1000, ge=-2_147_483_648, le=-1)
    user_id: int = Field(default=1000, ge=1, description="uid of sessions and jobs")
    group_id: int = Field(default=1000, ge=1)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    batch_cores: float = Field(default=1024, gt=0, description="processor cores that batch may use in all")
    batch_memory: Memory = 4 * 2**40
    job_time_to_live: Duration = Field(
        default=timedelta(days=1), description="how long a finished Job object is kept"
    )
    hub_connect_ip: str | None = Field(
        default=None, description="address at which pods reach the hub; default: its service"
    )
    volumes: tuple[VolumeSource, ...] = Field(
        default=(), description="more volumes of every session and job pod, as in a pod"
    )
    volume_mounts: tuple[dict[str, Any], ...] = ()


class Limits(_Section):
    """Times that hold everywhere unless a queue or an accelerator says less."""

    session_default: Duration = timedelta(hours=8)
    session_max: Duration = timedelta(hours=24)
    job_default: Duration = timedelta(hours=1)
    job_max: Duration = timedelta(days=2)
    session_start: Duration = Field(
        default=timedelta(minutes=5), description="how long a session may take to start, waiting included"
    )
    grace: Duration = Field(
        default=timedelta(seconds=10), description="between SIGTERM and SIGKILL for an evicted job"
    )
    jobs_waiting_per_person: int = Field(default=500, ge=1)
    usage_half_life: Duration = Field(
        default=timedelta(days=7), description="how fast past use stops to count in the fair order"
    )

    @model_validator(mode="after")
    def _defaults_within_limits(self) -> Self:
        for door in ("session", "job"):
            if getattr(self, f"{door}_default") > getattr(self, f"{door}_max"):
                raise ValueError(f"{door}_default is longer than {door}_max")
        return self


class Backend(StrEnum):
    """Where sessions and jobs run."""

    LOCAL = "local"
    KUBERNETES = "kubernetes"


class Platform(_Section):
    """The whole platform file."""

    title: str = Field(default="AI_INFN", min_length=1, max_length=80)
    backend: Backend = Backend.LOCAL
    label_prefix: str = Field(default="ai.infn.it", pattern=r"^[a-z0-9.-]+$")
    admin_groups: tuple[GroupPath, ...] = ()
    use_real_devices: bool = Field(
        default=True, description="local back end: offer the GPUs that NVML finds instead of simulated ones"
    )
    accelerators: dict[Name, Accelerator] = Field(default_factory=dict)
    images: dict[Name, Image] = Field(min_length=1)
    sizes: dict[Name, Size] = Field(min_length=1)
    projects: dict[Name, Project] = Field(min_length=1)
    queues: dict[Name, Queue] = Field(default_factory=dict)
    storage: dict[Name, Storage] = Field(default_factory=dict)
    kubernetes: KubernetesSettings = KubernetesSettings()
    limits: Limits = Limits()

    @model_validator(mode="before")
    @classmethod
    def _no_reserved_name(cls, data: Any) -> Any:
        accelerators = data.get("accelerators") if isinstance(data, dict) else None
        if isinstance(accelerators, dict) and CPU_ONLY in accelerators:
            message = f"'{CPU_ONLY}' means no accelerator and cannot be the name of one"
            raise BadName(("accelerators", CPU_ONLY), message)
        return data

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        devices = {CPU_ONLY, *self.accelerators}
        holders: tuple[tuple[str, Mapping[str, BaseModel], dict[str, Collection[str]]], ...] = (
            (
                "projects",
                self.projects,
                {"accelerators": self.accelerators, "sizes": self.sizes, "images": self.images},
            ),
            ("queues", self.queues, {"projects": self.projects, "accelerators": devices}),
            ("images", self.images, {"accelerators": devices}),
            ("storage", self.storage, {"projects": self.projects}),
        )
        for section, values, fields in holders:
            for name, value in values.items():
                for field, known in fields.items():
                    _check_names((section, name, field), getattr(value, field) or (), known)
        return self


def _check_names(key: tuple[str, ...], names: Collection[str], known: Collection[str]) -> None:
    for index, name in enumerate(names):
        if name not in known:
            near = get_close_matches(name, list(known), n=1, cutoff=0.5)
            guess = f"; is {near[0]} meant?" if near else ""
            raise BadName((*key, index), f"there is no {name} under {key[-1]} in this file{guess}")
