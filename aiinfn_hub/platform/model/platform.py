"""The platform file as typed objects: what there is, and the conditions on using it.

One file (``platform.yaml``) describes the platform; `aiinfn_hub.platform.loading.loader` reads it. Everything else in the
suite gets a `Platform` and takes names, limits and resource names from it, never from code. The descriptions here are
the text of ``docs/platform.md`` and of the JSON Schema.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from aiinfn_hub.contract.units import Duration, Memory

from . import cross_checks
from .fields import (
    CPU_ONLY,
    VOLUME_SOURCES,
    BadName,
    BadNames,
    EnvironmentName,
    Folder,
    GroupPath,
    LocalPath,
    Name,
    Section,
    Toleration,
    VolumeSource,
)
from .periods import Grant, Reservation
from .settings import (
    Backend,
    IamSettings,
    KubernetesSettings,
    Limits,
)

__all__ = [
    "CPU_ONLY",
    "VOLUME_SOURCES",
    "Accelerator",
    "AcceleratorKind",
    "Backend",
    "BadName",
    "Grant",
    "GroupPath",
    "IamSettings",
    "Image",
    "KubernetesSettings",
    "Limits",
    "Name",
    "Platform",
    "Preset",
    "Project",
    "Queue",
    "Reservation",
    "Size",
    "Storage",
    "StorageKind",
]

_GROUPS = "IAM groups whose members may use it; one of them is enough. Default: everybody whose project may."


class AcceleratorKind(StrEnum):
    """How the hardware is shared out."""

    GPU = "gpu"
    MIG = "mig"
    FPGA = "fpga"


class Accelerator(Section):
    """One kind of device that a session or a job can ask for by name."""

    title: str = Field(min_length=1, max_length=60, description="Its name on the form.")
    kind: AcceleratorKind = Field(
        description="A whole GPU, a MIG slice of one, or an FPGA. The form groups its cards by it."
    )
    resource: str = Field(
        pattern=r"^[a-z0-9.-]+/[A-Za-z0-9_.-]+$",
        description="Resource name as the device plugin publishes it, e.g. `nvidia.com/gpu`, `nvidia.com/mig-1g.5gb` or "
        "`amd.com/xilinx_v70_gen5x8_qdma_base_2-0`.",
    )
    node_labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels that a node must have, e.g. `nvidia.com/gpu.product: Tesla-T4`. Where several models share a "
        "resource name, this tells them apart.",
    )
    product: str | None = Field(
        default=None,
        description="Local back end: product name that NVML must report, e.g. `Tesla T4`; `*` takes any.",
    )
    memory: Memory | None = Field(default=None, description="Memory of one device, shown on the form.")
    description: str = Field(default="", max_length=200, description="What it is good for, in one line.")
    groups: tuple[GroupPath, ...] | None = Field(default=None, description=_GROUPS)
    sizes: tuple[Name, ...] | None = Field(
        default=None, description="Sizes that go with it. Default: every size."
    )
    max_per_session: int = Field(default=1, ge=1, le=64, description="Devices that one session may ask for.")
    max_per_job: int = Field(default=1, ge=1, le=64, description="Devices that one job may ask for.")
    max_per_person: int | None = Field(
        default=None,
        ge=0,
        description="Devices that the sessions of one person may hold at once. Default: no limit.",
    )
    max_per_project: int | None = Field(
        default=None,
        ge=0,
        description="Devices that the sessions of one project may hold at once. Default: no limit.",
    )
    session_time: Duration | None = Field(
        default=None, description="Longest session with it. Default: `limits.session_max`."
    )
    devices: int | None = Field(
        default=None,
        ge=1,
        description="How many there are. Only reservations of a part of them need it; nodes may come and go without it. "
        "Default: the simulated ones, else unknown.",
    )
    quota: int | None = Field(
        default=None,
        ge=0,
        description="Kubernetes: devices that batch may use in all. Default: every one there is.",
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(),
        description="Kubernetes: tolerations for the taints of the nodes that carry it, as in a pod; at most 8.",
    )
    simulated: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Local back end: pretended devices, which are shown as simulated everywhere.",
    )

    @property
    def known_devices(self) -> int | None:
        """How many there are; None if the file does not say."""
        return self.devices or self.simulated or None


class Image(Section):
    """An environment: an OCI image on Kubernetes, an interpreter prefix on the local back end."""

    title: str = Field(min_length=1, max_length=80, description="Its name on the form.")
    reference: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$",
        description="OCI image reference, e.g. `harbor.example.org/ai/standard:2026.11`. A digest keeps it the same for good.",
    )
    description: str = Field(default="", max_length=200, description="What is in it, in one line.")
    groups: tuple[GroupPath, ...] | None = Field(default=None, description=_GROUPS)
    local_prefix: str | None = Field(
        default=None,
        description="Local back end: `sys.prefix` of the Python environment to use. Default: the hub's own.",
    )
    accelerators: tuple[Name, ...] | None = Field(
        default=None,
        description="Accelerators it is built for; `none` stands for CPU only. Default: all of them, and none.",
    )
    environment: dict[EnvironmentName, str] = Field(
        default_factory=dict,
        description="Kubernetes: environment variables of its sessions and jobs, e.g. PATH. People can read them: no secrets.",
    )


class Size(Section):
    """Processor cores and memory of a session or a job."""

    title: str = Field(min_length=1, max_length=60, description="Its name on the form.")
    cores: float = Field(gt=0, le=1024, description="Processor cores; a part of one is allowed.")
    memory: Memory = Field(description="Memory; what uses more is ended.")
    groups: tuple[GroupPath, ...] | None = Field(default=None, description=_GROUPS)
    session_time: Duration | None = Field(
        default=None, description="Longest session of this size. Default: `limits.session_max`."
    )


class Project(Section):
    """People who share allowances and queues, told by their IAM groups."""

    title: str = Field(min_length=1, max_length=80, description="Its name on the form.")
    groups: tuple[GroupPath, ...] = Field(
        min_length=1,
        description="IAM groups whose members belong to it, as whole paths without a leading slash.",
    )
    managers: tuple[GroupPath, ...] = Field(
        default=(),
        description="IAM groups whose members belong to it and see and stop all of its jobs and sessions.",
    )
    accelerators: tuple[Name, ...] | None = Field(
        default=None, description="Accelerators it may use; an empty list leaves CPU only. Default: all."
    )
    sizes: tuple[Name, ...] | None = Field(default=None, description="Sizes it may use. Default: all.")
    images: tuple[Name, ...] | None = Field(default=None, description="Images it may use. Default: all.")
    session_time: Duration | None = Field(
        default=None, description="Longest session of its members. Default: `limits.session_max`."
    )
    max_accelerators: int | None = Field(
        default=None,
        ge=0,
        description="Accelerators of all kinds that its sessions may hold at once. "
        "Default: `limits.accelerators_per_project`.",
    )


class Queue(Section):
    """A line in which batch jobs wait, open to some projects and for some accelerators."""

    title: str = Field(min_length=1, max_length=80, description="Its name in the Lab.")
    description: str = Field(default="", max_length=200, description="What it is for, in one line.")
    projects: tuple[Name, ...] | None = Field(
        default=None, description="Projects whose jobs may wait in it. Default: every project."
    )
    groups: tuple[GroupPath, ...] | None = Field(default=None, description=_GROUPS)
    accelerators: tuple[Name, ...] | None = Field(
        default=None,
        description="What it serves; `none` stands for CPU only. Default: all of them, and none.",
    )
    priority: int = Field(
        default=0, ge=-1000, le=1000, description="Jobs of a queue with a higher one start first."
    )
    max_time: Duration | None = Field(
        default=None, description="Longest job in it. Default: `limits.job_max`."
    )


class StorageKind(StrEnum):
    """How a folder reaches a session."""

    HOME = "home"
    SHARE = "share"
    SCRATCH = "scratch"


class Storage(Section):
    """A folder that sessions and jobs see."""

    title: str = Field(min_length=1, max_length=80, description="What people call it.")
    kind: StorageKind = Field(
        description="A person's home, a share among people, or scratch space that goes with the session."
    )
    mount: str = Field(
        pattern=r"^(/[A-Za-z0-9._-]+)+$", description="Where it is in a session, as an absolute path."
    )
    projects: tuple[Name, ...] | None = Field(
        default=None, description="Projects whose sessions and jobs see it. Default: every project."
    )
    groups: tuple[GroupPath, ...] | None = Field(
        default=None, description=f"{_GROUPS} A home is for everybody: use `projects` there."
    )
    volume: VolumeSource | None = Field(
        default=None,
        description="Kubernetes: the volume as in a pod, e.g. `{persistentVolumeClaim: {claimName: homes}}`. "
        "A home or a share must have one; scratch space is an emptyDir by default.",
    )
    sub_path: Folder | None = Field(
        default=None,
        description="Kubernetes: folder in the volume; `{person}` and `{project}` become their slugs. The kubelet makes it "
        "like the volume's own top folder, which `kubernetes.group_id` must therefore be able to write to.",
    )
    path: LocalPath | None = Field(
        default=None,
        description="Local back end: the folder of this machine that a share or scratch space stands for; `{person}` and `{project}` "
        "become their slugs. Sessions and jobs find a link to it in the home, named as the storage (and, with `{project}`, the "
        "project). A home needs none.",
    )
    read_only: bool = Field(
        default=False,
        description="Whether it can only be read. On the local back end, permissions of the folder have to see to it.",
    )

    @model_validator(mode="after")
    def _homes_are_for_everybody(self) -> Self:
        if self.kind is StorageKind.HOME and self.groups is not None:
            raise ValueError("a home cannot be for some groups only; restrict it by projects")
        return self


class Preset(Section):
    """A choice with a name, above the cards of the form: it fills the form in. People to whom the gate would not grant it do not see it.

    What it leaves out is the usual one of who uses it.
    """

    title: str = Field(min_length=1, max_length=60, description="Its name on the form.")
    description: str = Field(default="", max_length=200, description="What it is for, in one line.")
    accelerator: Name | None = Field(default=None, description="Accelerator; `none` stands for CPU only.")
    count: int | None = Field(default=None, ge=1, description="How many of them. Default: 1.")
    image: Name | None = Field(default=None, description="Image.")
    size: Name | None = Field(default=None, description="Size.")
    project: Name | None = Field(
        default=None, description="Project. Default: the first of the person's that may."
    )
    time_limit: Duration | None = Field(
        default=None, description="After what time the session ends. Default: `limits.session_default`."
    )


class Platform(Section):
    """The whole platform file.

    Names of accelerators, images, sizes, projects, queues, storage and presets are lower-case letters, digits, `-` and `.`; they
    are what programs and links use. The order in the file is the order on the form, and the first is the usual one.
    """

    title: str = Field(
        default="AI_INFN", min_length=1, max_length=80, description="Name of the platform on every page."
    )
    backend: Backend = Field(
        default=Backend.LOCAL,
        description="Where sessions and jobs run: as processes of this machine, or as pods with Kueue.",
    )
    label_prefix: str = Field(
        default="ai.infn.it",
        pattern=r"^[a-z0-9.-]+$",
        description="Kubernetes: prefix of the labels and annotations that the suite sets.",
    )
    admin_groups: tuple[GroupPath, ...] = Field(
        default=(),
        description="IAM groups of the operators, who see all jobs and the hub's admin page. It gives no accelerator.",
    )
    use_real_devices: bool = Field(
        default=True, description="Local back end: offer the GPUs that NVML finds instead of simulated ones."
    )
    accelerators: dict[Name, Accelerator] = Field(
        default_factory=dict, description="What can be asked for, by name. `none` is reserved for CPU only."
    )
    images: dict[Name, Image] = Field(min_length=1, description="Environments, by name.")
    sizes: dict[Name, Size] = Field(min_length=1, description="Cores and memory to choose from, by name.")
    projects: dict[Name, Project] = Field(min_length=1, description="Who may use what, by name.")
    queues: dict[Name, Queue] = Field(default_factory=dict, description="Lines for batch jobs, by name.")
    storage: dict[Name, Storage] = Field(default_factory=dict, description="Folders, by name.")
    reservations: dict[Name, Reservation] = Field(
        default_factory=dict, description="Accelerators kept for a project in a period, by name."
    )
    grants: dict[Name, Grant] = Field(
        default_factory=dict, description="What some people may use until a date, by name."
    )
    presets: dict[Name, Preset] = Field(
        default_factory=dict, description="Choices that the form offers ready-made, by name."
    )
    support: str = Field(
        default="",
        max_length=200,
        description="Whom people can ask, e.g. an e-mail address; shown where somebody cannot get any further.",
    )
    iam: IamSettings = Field(
        default=IamSettings(), description="Who may sign in, and what sessions get from IAM."
    )
    kubernetes: KubernetesSettings = Field(
        default=KubernetesSettings(), description="Where things are in the cluster."
    )
    limits: Limits = Field(default=Limits(), description="What holds everywhere.")

    @model_validator(mode="before")
    @classmethod
    def _no_reserved_name(cls, data: Any) -> Any:
        accelerators = data.get("accelerators") if isinstance(data, dict) else None
        if isinstance(accelerators, dict) and CPU_ONLY in accelerators:
            message = f"'{CPU_ONLY}' means no accelerator and cannot be the name of one"
            raise BadName(("accelerators", CPU_ONLY), message)
        return data

    @model_validator(mode="after")
    def _names_exist_and_numbers_fit(self) -> Self:
        if findings := [*cross_checks.unknown_names(self), *cross_checks.reservations(self)]:
            raise BadNames(findings)
        return self
