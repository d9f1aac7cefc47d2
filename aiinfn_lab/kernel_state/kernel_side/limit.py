"""How long a request may hold the kernel up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TooSlowError(Exception):
    """The work took longer than it may."""


def limited(seconds: float | None, work: Callable[[], T]) -> T:
    """Do some work and interrupt it after some seconds, and never what the kernel runs after it.

    Only the kernel itself can do so: whoever interrupts from outside cannot know whether the next cell has begun meanwhile.

    Raises
    ------
    TooSlowError
        If it was interrupted.
    """
    watch = _Watch()
    try:
        try:
            if seconds is not None and threading.current_thread() is threading.main_thread():
                watch.start(seconds)
            return work()
        finally:
            watch.stop()
    except KeyboardInterrupt:
        # It may have come in the middle of stopping.
        watch.stop()
        if watch.fired:
            raise TooSlowError from None
        raise


class _Watch:
    """Interrupts this thread once, unless it is stopped before."""

    def __init__(self) -> None:
        self.fired = False
        self._stopped = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.get_ident()

    def start(self, seconds: float) -> None:
        """Begin to wait; the signal may come before this returns."""
        threading.Thread(target=self._wait, args=(seconds,), name="aiinfn-limit", daemon=True).start()

    def stop(self) -> None:
        """Return when no signal can come any more; that of one that was sent is raised in here at the latest."""
        self._stopped = True
        with self._lock:
            self._over.set()

    def _wait(self, seconds: float) -> None:
        if self._over.wait(seconds):
            return
        with self._lock:
            if not self._stopped:
                self.fired = True
                # A real signal: it ends waiting in system calls, too.
                signal.pthread_kill(self._thread, signal.SIGINT)
