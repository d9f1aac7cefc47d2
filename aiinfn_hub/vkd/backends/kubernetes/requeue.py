"""Trigger Kueue to look at once at what a session gave back.

Kueue 0.19 gathers the nodes on which pods that it does not manage have ended, and looks whether jobs fit there every ten
seconds (pkg/controller/tas/non_tas_usage_controller.go). A Workload that is deactivated has it look at once, at all
that wait in the same cohort. So one that waits is deactivated, and active again as soon as that is seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from .reconciler import Reconciler

_SETTLE: Final = 0.25
"""Seconds until Kueue has surely seen that the pod is gone."""
_PAUSE: Final = 1.5


class RequeueTrigger:
    """Gathers what sessions give back."""

    def __init__(self, director: Reconciler) -> None:
        self._director = director
        self._freed: set[str] = set()
        self._wake = asyncio.Event()

    def freed(self, accelerators: Iterable[str]) -> None:
        """Note that devices are free that were not batch's."""
        self._freed.update(name for name in accelerators if self._director.wanted[name] > 0)
        if self._freed:
            self._wake.set()

    async def run(self) -> None:
        """Nudge until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(_SETTLE)
            names, self._freed = self._freed, set()
            # One is enough: Kueue looks at the whole cohort.
            for name in names:
                if await self._director.nudge(name):
                    break
            await asyncio.sleep(_PAUSE)
