"""How busy the job's accelerators are, as NVIDIA's management library tells; of others and of simulated ones nothing is known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

SIMULATED: Final = "SIM-"
"""How the ids of devices begin that are only pretended."""
_UUID: Final = ("GPU-", "MIG-")


class AcceleratorReading(NamedTuple):
    """What the accelerators do now.

    Attributes
    ----------
    busy
        Per cent of the last moment, the mean of all; None where it is not told, as of MIG instances.
    memory
        Bytes in use, of all together.
    """

    busy: float | None
    memory: int | None


class AcceleratorReader:
    """Reads the job's devices; may block as long as the driver likes."""

    def __init__(self, library: Any, handles: Sequence[Any]) -> None:
        self._library = library
        self._handles = handles

    def read(self) -> AcceleratorReading | None:
        """Read all of them; None if nothing is known."""
        busy: list[float] = []
        memory: list[int] = []
        for handle in self._handles:
            try:
                memory.append(int(self._library.nvmlDeviceGetMemoryInfo(handle).used))
                busy.append(float(self._library.nvmlDeviceGetUtilizationRates(handle).gpu))
            except self._library.NVMLError:
                continue
        if not memory:
            return None
        return AcceleratorReading(round(sum(busy) / len(busy), 1) if busy else None, sum(memory))


def find() -> AcceleratorReader | None:
    """Find the job's devices; None if it has none, or nothing can tell of them."""
    if os.environ.get("AIINFN_ACCELERATOR", "none") == "none":
        return None
    granted = os.environ.get("AIINFN_DEVICES") or os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
    ids = [name.strip() for name in granted.split(",") if name.strip()]
    if any(name.startswith(SIMULATED) for name in ids):
        return None
    try:
        import pynvml  # noqa: PLC0415 - few jobs need it
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        named = [name for name in ids if name.startswith(_UUID)]
        handles = (
            [pynvml.nvmlDeviceGetHandleByUUID(name) for name in named]
            if named
            # In a container only what was granted is to be seen.
            else [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        )
    except pynvml.NVMLError:
        return None
    return AcceleratorReader(pynvml, handles) if handles else None
