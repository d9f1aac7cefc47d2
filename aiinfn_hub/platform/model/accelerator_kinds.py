"""The kinds of accelerators: the one table that everything about a kind is read from."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Self

from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import marked

CUDA: Final = ("CUDA_VISIBLE_DEVICES",)
"""Variables by which a process is shown some devices of NVIDIA and no other ones."""


class AcceleratorKind(StrEnum):
    """What a device is."""

    # A kind is one line, in the order of the form: its name in the platform file, what people call it, the environment
    # variables that make its devices visible to a process of this machine, and whether NVML finds such devices.
    GPU = "gpu", marked("GPU"), CUDA, True
    MIG = "mig", marked("MIG slices"), CUDA, True
    FPGA = "fpga", marked("FPGA"), (), False

    message: str
    visible_by: tuple[str, ...]
    found_by_nvml: bool

    def __new__(cls, name: str, message: str, visible_by: tuple[str, ...], found_by_nvml: bool) -> Self:
        """Build a member out of its line of the table."""
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.message = message
        kind.visible_by = visible_by
        kind.found_by_nvml = found_by_nvml
        return kind

    @property
    def heading(self) -> str:
        """Return what people call such devices, in the reader's language."""
        return _(self.message)


def visible_devices(kind: AcceleratorKind | None, devices: Sequence[str]) -> dict[str, str]:
    """Return the variables that make exactly these devices visible to a process of this machine.

    Those of other kinds are there too and empty: what is not granted is not visible either.
    """
    ids = ",".join(devices)
    variables = dict.fromkeys((name for each in AcceleratorKind for name in each.visible_by), "")
    return variables | dict.fromkeys(kind.visible_by if kind else (), ids)
