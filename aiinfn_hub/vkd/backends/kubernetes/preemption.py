"""Which jobs make room for a session: pure, and the same choice as kube-scheduler's, which acts if nobody else does.

kube-scheduler prefers the node on which the victims' priorities are lowest, then the fewest victims, then those that
started last; on a node it spares the most important pods first: of equal priority, those that started first
(https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from aiinfn_hub.kube.inventory import DevicePlace, DevicePodFacts, held
from aiinfn_hub.kube.objects.jobs import moment

_LOWEST: Final = 2**31


class Relief(Enum):
    """Whether a session finds its devices."""

    FREE = auto()
    """They are free."""
    COMING = auto()
    """They are free as soon as pods that end already are gone."""
    BY_EVICTION = auto()
    """Jobs must make room."""
    NONE = auto()
    """Other sessions have them."""


@dataclass(frozen=True, slots=True)
class VictimChoice:
    """Where a session finds its devices, and who must go for it."""

    room: Relief
    node: str = ""
    victims: tuple[DevicePodFacts, ...] = ()


def choose(
    places: Iterable[DevicePlace], resource: str, count: int, promised: Mapping[str, int]
) -> VictimChoice:
    """Choose where a session gets its devices.

    Parameters
    ----------
    places
        The usable nodes.
    promised
        Devices by node that are for sessions whose pods are not there yet.
    """
    best: tuple[tuple[float, float, float, float, float, str], VictimChoice] | None = None
    for place in places:
        choice = _on(place, resource, count, promised.get(place.node, 0))
        if choice is None:
            continue
        rank = _rank(choice)
        if best is None or rank < best[0]:
            best = rank, choice
    return best[1] if best else VictimChoice(Relief.NONE)


def _on(place: DevicePlace, resource: str, count: int, promised: int) -> VictimChoice | None:
    """Return how a session would get its devices on a node; None if it cannot."""
    wanted = count + promised
    if wanted <= place.free:
        return VictimChoice(Relief.FREE, place.node)
    coming = sum(held(pod, resource) for pod in place.pods if pod.ending)
    if wanted <= place.free + coming:
        return VictimChoice(Relief.COMING, place.node)
    candidates = [pod for pod in place.pods if pod.job and not pod.ending]
    spare = place.free + coming + sum(held(pod, resource) for pod in candidates) - wanted
    if spare < 0:
        return None
    victims = []
    for pod in sorted(candidates, key=lambda pod: (-pod.priority, pod.started, pod.uid)):
        if held(pod, resource) <= spare:
            spare -= held(pod, resource)
        else:
            victims.append(pod)
    return VictimChoice(Relief.BY_EVICTION, place.node, tuple(victims))


def _rank(choice: VictimChoice) -> tuple[float, float, float, float, float, str]:
    """Order the nodes: the least is the best."""
    victims = choice.victims
    most = max((pod.priority for pod in victims), default=0)
    # Of equal nodes, the one whose longest-running victim started last loses the least work.
    oldest = min((_seconds(pod.started) for pod in victims if pod.priority == most), default=0.0)
    together = sum(
        pod.priority + _LOWEST for pod in victims
    )  # so that fewer are less, as kube-scheduler does it
    return choice.room.value, most, together, len(victims), -oldest, choice.node


def _seconds(time: str) -> float:
    found = moment(time)
    return found.timestamp() if found else 0.0
