"""Two names for the same devices: nothing that holds for one of them could be kept, since the other leads to the device too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from operator import attrgetter

from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.fields import FindingError
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.settings import BackendKind

_SAME: tuple[tuple[str, str], ...] = (
    ("groups", "the groups that may use it"),
    ("sizes", "its sizes"),
    ("max_per_session", "max_per_session"),
    ("max_per_job", "max_per_job"),
    ("session_time", "session_time"),
)
"""What must be the same for both names of one device."""
_ALONE: tuple[str, ...] = ("max_per_person", "max_per_project", "kubernetes.quota")
"""Limits that count by name, so that two names give twice as much."""


def can_be_the_same(one: Accelerator, other: Accelerator) -> bool:
    """Return whether one device of a cluster can be handed out under both names.

    A node has one value for each label; so two names are apart if they require different values of one label.
    """
    if one.kubernetes.resource != other.kubernetes.resource:
        return False
    return all(
        other.kubernetes.node_labels.get(key, value) == value
        for key, value in one.kubernetes.node_labels.items()
    )


def findings(platform: Platform) -> Iterator[FindingError]:
    """Find names of the same devices of which one has a rule that the other would get around."""
    if platform.sessions.backend is BackendKind.LOCAL:
        yield from _products(platform)
        return
    for first, second in combinations(platform.accelerators, 2):
        if not can_be_the_same(platform.accelerators[first], platform.accelerators[second]):
            continue
        if broken := _broken(platform, first, second):
            yield FindingError(
                ("accelerators", second),
                f"{first} and {second} can be the same devices ({platform.accelerators[first].kubernetes.resource}, and a node can have "
                f"the labels of both), so {broken}; give them different values of one of the node_labels, for example "
                "nvidia.com/gpu.product, or leave one of them out",
            )


def _broken(platform: Platform, first: str, second: str) -> str | None:
    """Return which rule could not be kept; None if both names stand for the same in every respect."""
    pair = {first, second}
    for name, reservation in platform.reservations.items():
        if reservation.accelerator in pair:
            return f"the reservation {name} of {reservation.accelerator} could not be kept"
    return _own_rules(platform, first, second) or _lists(platform, pair)


def _own_rules(platform: Platform, first: str, second: str) -> str | None:
    one, other = platform.accelerators[first], platform.accelerators[second]
    for key, words in _SAME:
        if getattr(one, key) != getattr(other, key):
            return f"{words} could not be kept, which differ"
    for key in _ALONE:
        for name, device in ((first, one), (second, other)):
            if attrgetter(key)(device) is not None:
                return f"{key.rpartition('.')[2]} of {name} could not be kept"
    return None


def _lists(platform: Platform, pair: set[str]) -> str | None:
    for section in ("projects", "queues", "images", "grants"):
        for name, value in getattr(platform, section).items():
            if value.accelerators is not None and len(pair.intersection(value.accelerators)) == 1:
                return (
                    f"the accelerators of {section}.{name}, which have only one of the two, could not be kept"
                )
    return None


def _products(platform: Platform) -> Iterator[FindingError]:
    """Find names of one product: on a workstation all of its devices go to the first."""
    seen: dict[str, str] = {}
    for name, device in platform.accelerators.items():
        if not device.local.product or not device.kind.found_by_nvml or not platform.use_real_devices:
            continue
        product = "-".join(device.local.product.split())
        if first := seen.get(product):
            yield FindingError(
                ("accelerators", name, "local", "product"),
                f"{first} has this product already, and gets all of its devices; name another product, or leave one out",
            )
        seen.setdefault(product, name)
