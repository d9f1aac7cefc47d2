"""Who holds which device, and how much of the host the running jobs take: pure bookkeeping, no I/O.

Exclusiveness rests on this module alone: a device is handed out only by `Ledger.hold`, and only while nobody has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class HolderKind(StrEnum):
    """What a holder is."""

    SESSION = "session"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Holding:
    """Devices in somebody's hand."""

    holder: str
    kind: HolderKind
    accelerator: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """Devices of one accelerator; ``total`` is the sum of the others."""

    total: int
    free: int
    sessions: int
    batch: int
    offline: int


class DeviceTakenError(Exception):
    """A device that was to be adopted is in another's hand."""


class Ledger:
    """Exclusive devices by accelerator name.

    A device that is offline is in nobody's reach: it counts as offline even while somebody still holds it. A device
    that left the inventory stays known, as offline, until its holder releases it.
    """

    def __init__(self) -> None:
        self._inventory: dict[str, tuple[str, ...]] = {}
        self._offline: frozenset[str] = frozenset()
        self._gone: frozenset[str] = frozenset()
        self._simulated: frozenset[str] = frozenset()
        self._holder: dict[str, str] = {}
        self._holdings: dict[str, Holding] = {}

    def stock(
        self,
        inventory: Mapping[str, Sequence[str]],
        offline: Iterable[str] = (),
        gone: Iterable[str] = (),
        simulated: Iterable[str] = (),
    ) -> None:
        """Replace what there is.

        Parameters
        ----------
        inventory
            Device ids per accelerator, in the order in which they are handed out.
        offline
            Devices that cannot be used now.
        gone
            Offline devices that are not expected back; they do not count for `capacity`.
        simulated
            Accelerators of which no device can vanish.
        """
        self._inventory = {name: tuple(dict.fromkeys(ids)) for name, ids in inventory.items()}
        self._offline = frozenset(offline)
        self._gone = frozenset(gone)
        self._simulated = frozenset(simulated)

    def _ghosts(self, accelerator: str) -> Iterator[str]:
        known = self._inventory.get(accelerator, ())
        for holding in self._holdings.values():
            if holding.accelerator == accelerator:
                yield from (device for device in holding.devices if device not in known)

    def _usable(self, device: str, accelerator: str) -> bool:
        return device not in self._offline and device in self._inventory.get(accelerator, ())

    def free(self, accelerator: str) -> list[str]:
        """List the devices that can be handed out."""
        return [
            device
            for device in self._inventory.get(accelerator, ())
            if device not in self._offline and device not in self._holder
        ]

    def capacity(self, accelerator: str) -> int:
        """Count the devices that exist, offline ones that may come back included."""
        return sum(device not in self._gone for device in self._inventory.get(accelerator, ()))

    def counts(self, accelerator: str) -> DeviceCounts:
        """Count the devices by what happens to them."""
        known = self._inventory.get(accelerator, ())
        offline = sum(device in self._offline for device in known) + sum(1 for _ in self._ghosts(accelerator))
        held = {HolderKind.SESSION: 0, HolderKind.BATCH: 0}
        for device in known:
            if device not in self._offline and (holder := self._holder.get(device)) is not None:
                held[self._holdings[holder].kind] += 1
        free = len(self.free(accelerator))
        sessions, batch = held[HolderKind.SESSION], held[HolderKind.BATCH]
        return DeviceCounts(free + sessions + batch + offline, free, sessions, batch, offline)

    def hold(self, holder: str, kind: HolderKind, accelerator: str, count: int) -> tuple[str, ...] | None:
        """Hand out ``count`` free devices, or None if there are fewer.

        A holder has one holding: asking again gives what it has.
        """
        if (known := self._holdings.get(holder)) is not None:
            return known.devices
        free = self.free(accelerator)
        if count < 1 or len(free) < count:
            return None
        devices = tuple(free[:count])
        self._note(Holding(holder, kind, accelerator, devices))
        return devices

    def adopt(self, holder: str, kind: HolderKind, accelerator: str, devices: Sequence[str]) -> None:
        """Write down what a holder has already, as found after a restart.

        Raises
        ------
        DeviceTakenError
            If another holds one of them; then nothing changes.
        """
        if taken := [device for device in devices if self._holder.get(device, holder) != holder]:
            raise DeviceTakenError(", ".join(taken))
        self.release(holder)
        if devices:
            self._note(Holding(holder, kind, accelerator, tuple(dict.fromkeys(devices))))

    def _note(self, holding: Holding) -> None:
        self._holdings[holding.holder] = holding
        self._holder.update(dict.fromkeys(holding.devices, holding.holder))

    def release(self, holder: str) -> tuple[str, ...]:
        """Take everything back from a holder; of an unknown one, nothing happens."""
        holding = self._holdings.pop(holder, None)
        if holding is None:
            return ()
        for device in holding.devices:
            del self._holder[device]
        return holding.devices

    def holding(self, holder: str) -> Holding | None:
        """Return what a holder has."""
        return self._holdings.get(holder)

    def usable(self, holder: str) -> int:
        """Count the devices of a holder that another could use after it."""
        holding = self._holdings.get(holder)
        return 0 if holding is None else sum(self._usable(d, holding.accelerator) for d in holding.devices)

    def stranded(self) -> list[Holding]:
        """List the holdings of which at least one device is offline or has vanished."""
        return [holding for holding in self._holdings.values() if self.is_stranded(holding.holder)]

    def is_stranded(self, holder: str) -> bool:
        """Return whether a holder has a device that is offline or has vanished.

        One that an operator only took out of the platform file serves its holder to the end.
        """
        holding = self._holdings.get(holder)
        if holding is None:
            return False
        name = holding.accelerator
        may_vanish = name in self._inventory and name not in self._simulated
        return any(
            device in self._offline or (may_vanish and device not in self._inventory[name])
            for device in holding.devices
        )


class Host:
    """Cores and memory that the running jobs share.

    One job may always run, however large it is: a size above the host's own would otherwise wait for ever.

    Parameters
    ----------
    cores, memory
        What the jobs together may take; memory in bytes.
    """

    def __init__(self, cores: float, memory: int) -> None:
        self.cores = cores
        self.memory = memory
        self._taken: dict[str, tuple[float, int]] = {}

    def fits(self, cores: float, memory: int) -> bool:
        """Return whether a job of this size may start now."""
        if not self._taken:
            return True
        used_cores = sum(taken[0] for taken in self._taken.values())
        used_memory = sum(taken[1] for taken in self._taken.values())
        return used_cores + cores <= self.cores + 1e-9 and used_memory + memory <= self.memory

    def take(self, holder: str, cores: float, memory: int) -> None:
        """Write down a job that starts, or that runs already."""
        self._taken[holder] = (cores, memory)

    def give_back(self, holder: str) -> None:
        """Forget a job; of an unknown one, nothing happens."""
        self._taken.pop(holder, None)
