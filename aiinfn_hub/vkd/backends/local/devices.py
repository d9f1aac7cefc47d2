"""Which devices this host has: real ones as NVML finds them, and simulated ones as the platform file declares them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.backends.common.attempt_files import LocalFiles

_log = logging.getLogger(__name__)
_FIRST_READING: Final = 15.0
"""Seconds that the first reading may take; a driver that hangs must not keep vkd from starting."""
_MISSES: Final = 2
"""Readings in a row that must lack a device before it counts as vanished: a driver may be busy for a moment."""


@dataclass(frozen=True, slots=True)
class RealDevice:
    """A GPU or MIG instance: its UUID, and its product name as NVML gives it."""

    id: str
    product: str


Discover = Callable[[], Sequence[RealDevice] | None]
"""Reads the real devices; None if it cannot tell now. It may block and is called in a thread of its own."""


def discover_nvml() -> Sequence[RealDevice] | None:
    """Read the GPUs and MIG instances of this host; none where there is no driver."""
    try:
        import pynvml  # noqa: PLC0415 - a megabyte that a host without GPUs need not load
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return []
    except pynvml.NVMLError:
        return None
    try:
        return [
            device
            for index in range(pynvml.nvmlDeviceGetCount())
            for device in _instances(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index))
        ]
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _instances(pynvml: Any, gpu: Any) -> list[RealDevice]:
    """Return a GPU, or its MIG instances if it is cut into such: then the whole cannot be used."""
    try:
        sliced = pynvml.nvmlDeviceGetMigMode(gpu)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
    except pynvml.NVMLError:
        sliced = False
    if not sliced:
        return [_described(pynvml, gpu)]
    found = []
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            found.append(_described(pynvml, pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)))
        except pynvml.NVMLError_NotFound:
            continue
    return found


def _described(pynvml: Any, handle: Any) -> RealDevice:
    uuid, name = pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle)
    return RealDevice(*(value.decode() if isinstance(value, bytes) else value for value in (uuid, name)))


def product_key(name: str) -> str:
    """Write a product as the node labels of NVIDIA's device plugin have it: spaces are dashes."""
    return "-".join(name.split())


def assign(platform: Platform, found: Sequence[RealDevice]) -> dict[str, tuple[str, ...]]:
    """Return each accelerator its real devices by product; what no other product names goes to the first ``*``."""
    by_product = {
        product_key(accelerator.local.product): name
        for name, accelerator in reversed(platform.accelerators.items())
        if accelerator.local.product and accelerator.kind.found_by_nvml
    }
    assigned: dict[str, list[str]] = {}
    for device in found:
        name = by_product.get(product_key(device.product)) or by_product.get("*")
        if name is not None:
            assigned.setdefault(name, []).append(device.id)
    return {name: tuple(ids) for name, ids in assigned.items()}


@dataclass(frozen=True, slots=True)
class DeviceInventory:
    """What there is now.

    Attributes
    ----------
    devices
        Ids per accelerator, those that are offline included.
    offline
        Vanished, or taken out by hand.
    gone
        Vanished for so long that nobody should wait for them.
    simulated
        Accelerators without hardware behind them.
    pending
        Accelerators that should be real and of which no device was seen yet, as when the driver is loaded late.
    """

    devices: Mapping[str, tuple[str, ...]]
    offline: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    simulated: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()


def simulated_ids(name: str, count: int) -> tuple[str, ...]:
    """Name the pretended devices of an accelerator."""
    return tuple(f"SIM-{name}-{index}" for index in range(count))


@dataclass(slots=True)
class DeviceTable:
    """Makes inventories out of one reading after the other.

    Whether an accelerator is real or simulated is decided by the first reading and stays so: a job that was promised
    a real GPU must not end on a pretended one because the driver failed meanwhile.
    """

    platform: Platform
    gone_after: timedelta
    _known: dict[str, dict[str, int]] = field(default_factory=dict)
    """Real devices per accelerator, with how often in a row they were missed."""
    _vanished: dict[str, datetime] = field(default_factory=dict)
    _decided: datetime | None = None

    @property
    def real(self) -> bool:
        """Whether there is, or was, a real device."""
        return bool(self._known)

    def adopt(self, platform: Platform) -> None:
        """Load a changed platform file: what it describes newly, or as another product, is looked for again."""
        old, self.platform = self.platform.accelerators, platform
        for name in list(self._known):
            new = platform.accelerators.get(name)
            if new is None or name not in old or new.local.product != old[name].local.product:
                for device in self._known.pop(name):
                    self._vanished.pop(device, None)

    def read(self, found: Sequence[RealDevice] | None, now: datetime) -> None:
        """Take in a reading; None changes nothing."""
        if found is None and self._decided is not None:
            return
        assigned = assign(self.platform, found or ()) if self.platform.use_real_devices else {}
        for name, ids in assigned.items():
            if self._decided and name not in self._known and self.platform.accelerators[name].local.simulated:
                continue  # it is a simulated one since the start
            known = self._known.setdefault(name, {})
            known.update(dict.fromkeys(ids, 0))
        self._decided = self._decided or now
        present = {device for ids in assigned.values() for device in ids}
        for known in self._known.values():
            for device in known:
                if device in present:
                    self._vanished.pop(device, None)
                    continue
                known[device] += 1
                if known[device] >= _MISSES:
                    self._vanished.setdefault(device, now)

    def inventory(self, taken_out: frozenset[str], now: datetime) -> DeviceInventory:
        """Return what there is, without the devices that are taken out by hand."""
        devices = {
            name: tuple(self._known[name])
            if name in self._known
            else simulated_ids(name, accelerator.local.simulated)
            for name, accelerator in self.platform.accelerators.items()
        }
        every = {device for ids in devices.values() for device in ids}
        return DeviceInventory(
            devices=devices,
            offline=frozenset(self._vanished) | (taken_out & every),
            gone=frozenset(device for device, at in self._vanished.items() if now - at >= self.gone_after),
            simulated=frozenset(name for name, ids in devices.items() if ids and name not in self._known),
            pending=self._pending(now),
        )

    def _pending(self, now: datetime) -> frozenset[str]:
        if (
            self._decided is None
            or now - self._decided >= self.gone_after
            or not self.platform.use_real_devices
        ):
            return frozenset()
        return frozenset(
            name
            for name, accelerator in self.platform.accelerators.items()
            if accelerator.local.product and not accelerator.local.simulated and name not in self._known
        )


class DeviceWatch:
    """Reads the devices again and again, in a daemon thread because a broken driver can hang for ever.

    Parameters
    ----------
    changed
        Called on the event loop when the inventory changed.
    interval
        Seconds between two readings of the real devices.

    Attributes
    ----------
    read_at
        When the inventory was confirmed last.
    """

    def __init__(
        self,
        platform: Platform,
        files: LocalFiles,
        changed: Callable[[DeviceInventory], None],
        clock: Callable[[], datetime],
        *,
        discover: Discover,
        interval: float,
        gone_after: timedelta,
    ) -> None:
        self._files = files
        self._changed = changed
        self._clock = clock
        self._discover = discover
        self._interval = interval
        self._table = DeviceTable(platform, gone_after)
        self._real = platform.use_real_devices
        self._taken_out: frozenset[str] = frozenset()
        self._found: Sequence[RealDevice] | None = None
        self._fault = ""
        self._stop = threading.Event()
        self.current = DeviceInventory({})
        self.read_at = self._confirmed = clock()

    async def start(self) -> None:
        """Take the first reading, then go on in the background."""
        if self._real:
            first = asyncio.Event()
            threading.Thread(
                target=self._keep_reading,
                args=(asyncio.get_running_loop(), first),
                name="devices",
                daemon=True,
            ).start()
            try:
                await asyncio.wait_for(first.wait(), _FIRST_READING)
            except TimeoutError:
                _log.warning("The GPUs of this machine cannot be read: the driver does not answer")
                self._table.read([], self._clock())
        else:
            self._table.read([], self._clock())
        self.refresh()

    def _keep_reading(self, loop: asyncio.AbstractEventLoop, first: asyncio.Event) -> None:
        while not self._stop.is_set():
            try:
                found = self._discover()
            except Exception:  # a fault in a driver's library must not end the watch
                _log.warning("The GPUs of this machine cannot be read", exc_info=True)
                found = None
            try:
                loop.call_soon_threadsafe(self._take_in, found)
                loop.call_soon_threadsafe(first.set)
            except RuntimeError:
                return  # the loop is closed
            self._stop.wait(self._interval)

    def _take_in(self, found: Sequence[RealDevice] | None) -> None:
        if self._stop.is_set():
            return
        now = self._clock()
        if found is not None:
            self._confirmed, self._found = now, found
        self._table.read(found, now)
        self.refresh()

    def adopt(self, platform: Platform) -> None:
        """Load a changed platform file."""
        self._table.adopt(platform)
        if self._real and self._found is not None:
            self._table.read(self._found, self._clock())
        self.refresh()

    def stop(self) -> None:
        """End the background reading."""
        self._stop.set()

    def refresh(self) -> None:
        """Take in what was taken out or brought back by hand; cheap, to be called every second or so."""
        try:
            self._taken_out, fault = self._files.read_offline(), ""
        except (OSError, ValueError) as error:
            fault = str(error)
            if fault != self._fault:
                _log.warning("%s is ignored: %s", self._files.offline, fault)
        self._fault = fault
        now = self._clock()
        inventory = self._table.inventory(self._taken_out, now)
        # What is simulated cannot change behind our back; what is real is as true as its last reading.
        self.read_at = self._confirmed if self._table.real else now
        if inventory != self.current:
            self.current = inventory
            self._changed(inventory)
