"""The platform file as typed objects: what there is, and the conditions on using it.

One file (``platform.yaml``) describes the platform; `aiinfn_hub.platform.loading.loader` reads it. Everything else in the
suite gets a `Platform` and takes names, limits and resource names from it, never from code. The descriptions here are
the text of ``docs/platform.md`` and of the JSON Schema.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from aiinfn_hub.contract.apps import AppName

from . import apps as app_checks
from . import cross_checks
from .accelerators import Accelerator
from .apps import App
from .fields import (
    CPU_ONLY,
    FindingError,
    FindingsError,
    GroupPath,
    Name,
    Section,
)
from .images import Image
from .periods import Grant, Reservation
from .presets import Preset
from .projects import Project, Queue, Size
from .settings import (
    BackendKind,
    BatchSettings,
    IamSettings,
    KubernetesSettings,
    Limits,
    SessionSettings,
)
from .storage import Storage


class Platform(Section):
    """The whole platform file.

    Names of accelerators, images, sizes, projects, queues, storage and presets are lower-case letters, digits, `-` and `.` (of apps without `.`); they
    are what programs and links use. The order in the file is the order on the form, and the first is the usual one.
    """

    title: str = Field(
        default="AI_INFN", min_length=1, max_length=80, description="Name of the platform on every page."
    )
    sessions: SessionSettings = Field(default=SessionSettings(), description="How sessions run.")
    batch: BatchSettings = Field(default=BatchSettings(), description="How batch jobs run.")
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
    apps: dict[AppName, App] = Field(
        default_factory=dict,
        description="Web programs in JupyterLab's launcher, by name: the end of their address.",
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

    @property
    def batch_backend(self) -> BackendKind:
        """Where batch jobs run."""
        return self.batch.backend or self.sessions.backend

    @property
    def uses_kubernetes(self) -> bool:
        """Whether something of the platform is in a cluster."""
        return BackendKind.KUBERNETES in {self.sessions.backend, self.batch_backend}

    @model_validator(mode="before")
    @classmethod
    def _no_reserved_name(cls, data: Any) -> Any:
        accelerators = data.get("accelerators") if isinstance(data, dict) else None
        if isinstance(accelerators, dict) and CPU_ONLY in accelerators:
            message = f"'{CPU_ONLY}' means no accelerator and cannot be the name of one"
            raise FindingError(("accelerators", CPU_ONLY), message)
        return data

    @model_validator(mode="after")
    def _names_exist_and_numbers_fit(self) -> Self:
        if findings := [
            *cross_checks.unknown_names(self),
            *cross_checks.reservations(self.reservations, self.projects, self.accelerators),
            *app_checks.findings(self.apps),
            *cross_checks.back_ends(self.sessions.backend, self.batch_backend),
        ]:
            raise FindingsError(findings)
        return self
