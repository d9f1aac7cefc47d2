"""Accelerators: what can be asked for."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from aiinfn_hub.contract.units import Duration, Memory

from .accelerator_kinds import AcceleratorKind
from .fields import (
    GROUPS,
    GroupPath,
    Name,
    Section,
    Toleration,
)
from .moved_keys import modernised_part


class AcceleratorOnKubernetes(Section):
    """How pods get an accelerator: what its device plugin publishes, and on which nodes."""

    resource: str = Field(
        default="",
        pattern=r"^[a-z0-9.-]+/[A-Za-z0-9_.-]+$",
        description="Resource name, which pods need, as the device plugin publishes it, e.g. `nvidia.com/gpu`, `nvidia.com/mig-1g.5gb` or "
        "`amd.com/xilinx_v70_gen5x8_qdma_base_2-0`.",
    )
    node_labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels that a node must have, e.g. `nvidia.com/gpu.product: Tesla-T4`. Where several models share a "
        "resource name, this tells them apart.",
    )
    quota: int | None = Field(
        default=None,
        ge=0,
        description="Devices that batch may use in all. Default: every one there is.",
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(),
        description="Tolerations for the taints of the nodes that carry it, as in a pod; at most 8.",
    )


class AcceleratorOnOneMachine(Section):
    """How an accelerator is found on one machine."""

    product: str | None = Field(
        default=None,
        description="Product name that NVML must report, e.g. `Tesla T4`; `*` takes any.",
    )
    simulated: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Pretended devices, which are shown as simulated everywhere.",
    )


class Accelerator(Section):
    """One kind of device that a session or a job can ask for by name."""

    title: str = Field(min_length=1, max_length=60, description="Its name on the form.")
    kind: AcceleratorKind = Field(description="What the devices are. The form groups its cards by it.")
    memory: Memory | None = Field(default=None, description="Memory of one device, shown on the form.")
    description: str = Field(default="", max_length=200, description="What it is good for, in one line.")
    groups: tuple[GroupPath, ...] | None = Field(default=None, description=GROUPS)
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
    kubernetes: AcceleratorOnKubernetes = Field(
        default=AcceleratorOnKubernetes(), description="How pods get it; with that back end it is needed."
    )
    local: AcceleratorOnOneMachine = Field(
        default=AcceleratorOnOneMachine(), description="How it is found on one machine."
    )

    @model_validator(mode="before")
    @classmethod
    def _older_form(cls, data: Any) -> Any:
        """Read what an older version granted to a session or a job, and kept."""
        return modernised_part("accelerators", data)[0] if isinstance(data, dict) else data

    @property
    def known_devices(self) -> int | None:
        """How many there are; None if the file does not say."""
        return self.devices or self.local.simulated or None
