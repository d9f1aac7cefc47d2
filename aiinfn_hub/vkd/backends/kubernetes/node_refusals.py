"""Nodes whose kubelet turns pods away that were bound to them: which to avoid for a while, and of which operators are told.

A device plugin that lies, a node that was just restarted, a GPU that fell off: the node looks free, so everything that waits
would be sent there. This is kept in memory: a vkd that starts anew tries each node again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

WINDOW: Final = timedelta(minutes=10)
"""How long a refusal counts."""
AVOID: Final = timedelta(seconds=30)
"""How long a node is avoided after a refusal; twice as long for each that follows within `WINDOW`."""
LONGEST: Final = timedelta(minutes=5)
TELL: Final = 3
"""Refusals of one node within `WINDOW` of which operators are told."""
MOST_NODES: Final = 50
"""Nodes that one Job keeps off at most: the last ones."""
_MOST_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class RefusingNode:
    """A node that turned pods away several times.

    Attributes
    ----------
    accelerator
        What the last of them wanted.
    reasons
        The kubelet's words for it, each once.
    """

    node: str
    accelerator: str
    number: int
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Record:
    pods: deque[tuple[datetime, str, str]] = field(default_factory=lambda: deque(maxlen=_MOST_KEPT))
    """When, for which accelerator and why."""
    until: dict[str, datetime] = field(default_factory=dict)
    """Until when it is avoided, by accelerator."""


class NodeRefusals:
    """What the kubelets turned away lately."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._nodes: dict[str, _Record] = {}

    def note(self, node: str, accelerator: str, reason: str) -> int:
        """Note that a node turned a pod away; returns how many it turned away lately."""
        now = self._clock()
        self._forget(now)
        record = self._nodes.setdefault(node, _Record())
        record.pods.append((now, accelerator, reason))
        earlier = sum(wanted == accelerator for _, wanted, _ in record.pods) - 1
        record.until[accelerator] = now + min(AVOID * 2 ** min(earlier, 10), LONGEST)
        return len(record.pods)

    def avoided(self, accelerator: str) -> list[str]:
        """Return the nodes to which nothing with an accelerator should go now."""
        now = self._clock()
        found = [
            (until, node)
            for node, record in self._nodes.items()
            if (until := record.until.get(accelerator, now)) > now
        ]
        return sorted(node for _, node in sorted(found)[-MOST_NODES:])

    def next_end(self, accelerator: str) -> float | None:
        """Return the seconds until the first of these nodes is tried again; None if there is none."""
        now = self._clock()
        ends = [record.until[accelerator] for record in self._nodes.values() if accelerator in record.until]
        left = [(end - now).total_seconds() for end in ends if end > now]
        return min(left, default=None)

    def repeated(self) -> list[RefusingNode]:
        """Return the nodes of which operators should know, by name."""
        self._forget(self._clock())
        return [
            RefusingNode(
                node,
                record.pods[-1][1],
                len(record.pods),
                tuple(dict.fromkeys(why for _, _, why in record.pods)),
            )
            for node, record in sorted(self._nodes.items())
            if len(record.pods) >= TELL
        ]

    def _forget(self, now: datetime) -> None:
        for node, record in list(self._nodes.items()):
            while record.pods and now - record.pods[0][0] >= WINDOW:
                record.pods.popleft()
            if not record.pods:
                del self._nodes[node]
