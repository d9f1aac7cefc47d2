"""One attempt of a job as vkd follows it: started or found again, watched, stopped, and judged when it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aiinfn_hub.contract.runner import Progress, Scalar
from aiinfn_hub.vkd.backends.common.attempt_files import (
    AttemptFolder,
    ExitFacts,
    Intent,
    IntentKind,
    RunFacts,
)
from aiinfn_hub.vkd.backends.common.ending import SUPERVISOR_FAILED
from aiinfn_hub.vkd.backends.common.exit_outcome import (
    Outcome,
    judge,
    progress_of,
    stopped,
    values_of,
)
from aiinfn_hub.vkd.backends.common.system import boot_id
from aiinfn_hub.vkd.domain.backend import BackendJob

from . import process
from .process import ProcessWatch

_log = logging.getLogger(__name__)
_OVERDUE: Final = 15.0
"""Seconds after the grace period when a supervisor that does not end is taken for stuck."""


@dataclass(slots=True, eq=False)
class Attempt:
    """An attempt that holds its devices.

    Attributes
    ----------
    intent
        Why it is being stopped, if it is.
    up
        The job's process runs.
    """

    job: BackendJob
    attempt: int
    folder: AttemptFolder
    devices: tuple[str, ...]
    began: datetime
    grace: float
    intent: Intent | None = None
    up: bool = False
    started: datetime | None = None
    watch: ProcessWatch | None = None
    task: asyncio.Task[None] | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: int = 0
    _overdue: asyncio.TimerHandle | None = None

    async def spawn(self) -> None:
        """Start the supervisor and wait until the job's process is up, or nothing will come.

        Raises
        ------
        OSError
            If no process can be started.
        """
        pid, ready = await asyncio.to_thread(process.spawn, self.folder.path)
        self._follow(pid)
        await _end_of(ready)

    def adopt(self, facts: RunFacts) -> bool:
        """Follow a supervisor that an earlier vkd started; False if it is gone."""
        try:
            self._follow(facts.pid)
        except ProcessLookupError:
            return False
        # Only now is the number bound to one process, so that it is worth comparing.
        if not process.is_alive(facts):
            self.let_go()
            self.watch = self._overdue = None
            return False
        return True

    def _follow(self, pid: int) -> None:
        self.watch = ProcessWatch(pid)
        if self.intent is not None:
            self._press()

    def stop(self, kind: IntentKind) -> None:
        """Have the attempt stopped. A person's wish to cancel replaces every other reason, and nothing replaces it."""
        first = self.intent is None
        if not first and kind is not IntentKind.CANCEL:
            return
        self.intent = Intent(kind, time.time())
        self.folder.write_intent(self.intent)
        if first:
            self._press()

    def _press(self) -> None:
        if self.watch is None or self._overdue is not None:
            return
        self.watch.send(signal.SIGTERM)
        # The supervisor ends its job itself; only one that is stuck or stopped needs this.
        self._overdue = asyncio.get_running_loop().call_later(self.grace + _OVERDUE, self._force)

    def _force(self) -> None:
        """Kill the supervisor, and then, if that helps nothing, its guard."""
        if self.watch is not None and (facts := self.folder.run()) is not None:
            process.kill_supervisor(facts)
            self.watch.send(signal.SIGCONT)
        self._overdue = asyncio.get_running_loop().call_later(_OVERDUE, self._kill)

    def _kill(self) -> None:
        if self.watch is not None:
            self.watch.send(signal.SIGKILL)

    def told(self) -> tuple[Progress | None, dict[str, Scalar]]:
        """Look what the job told since the last look: its progress, and what it recorded."""
        try:
            changed = self.folder.records.stat().st_mtime_ns
        except OSError:
            return None, {}
        if changed == self._seen:
            return None, {}
        self._seen = changed
        records = self.folder.read_records()
        return progress_of(records), values_of(records)

    def let_go(self) -> None:
        """Stop following, without ending anything."""
        if self.watch is not None:
            self.watch.close()
        if self._overdue is not None:
            self._overdue.cancel()

    def settled(self, *, patient: bool = True) -> bool:
        """Return whether no process of this attempt lives, once its guard is gone; end those that do. Blocks.

        Parameters
        ----------
        patient
            Leave a supervisor that lost its guard the time to end the job itself.
        """
        facts = self.folder.run()
        if facts is None or facts.boot != boot_id() or self.folder.exit() is not None:
            return True  # whoever writes how it ended does so when nothing is left
        if self.folder.supervised():
            if not patient:
                process.kill_supervisor(facts)
            return False
        return not process.kill_leftovers(self.folder.path, self.folder.spec(), facts)

    async def settle(self) -> None:
        """Wait until no process of this attempt lives, however long it takes: until then its devices are in use."""
        loop = asyncio.get_running_loop()
        began, pause, told = loop.time(), 0.02, False
        while not await asyncio.to_thread(self.settled, patient=loop.time() < began + _OVERDUE):
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)
            if not told and loop.time() > began + _OVERDUE:
                told = True
                _log.warning(
                    "Processes of job %s do not go away; its devices stay taken: %s",
                    self.job.id,
                    ", ".join(self.devices) or "none",
                )

    def conclude(self) -> Conclusion:
        """Find out how it ended, once its supervisor is gone and `settle` has returned. Blocks."""
        facts = self.folder.run()
        ended = self.folder.exit()
        intent = self.intent or self.folder.intent()
        records = (ended.records if ended else None) or self.folder.read_records()
        if facts is None and ended is None:
            if not self.folder.abandon():
                return self.conclude()
            return Conclusion(None, None if intent is None else stopped(intent, self.job.selection), records)
        rebooted = facts is not None and facts.boot != boot_id()
        if ended is None:
            ended = self.folder.write_lost(facts, rebooted=rebooted)
        if ended.why == SUPERVISOR_FAILED:
            _log.error("The supervisor of job %s ended by a fault: %s", self.job.id, ended.message)
        outcome = judge(ended, intent, records, self.job.selection, rebooted=rebooted)
        return Conclusion(ended, outcome, records)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The end of an attempt.

    Attributes
    ----------
    ended
        None if it never began.
    outcome
        None if it never began and nobody stopped it.
    """

    ended: ExitFacts | None
    outcome: Outcome | None
    records: Mapping[str, Any]


async def _end_of(descriptor: int) -> None:
    """Wait until nobody holds the other end of a pipe any more, and close this one."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
