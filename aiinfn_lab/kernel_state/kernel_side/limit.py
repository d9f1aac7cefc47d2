"""How long a request may hold the kernel up."""

from __future__ import annotations

import signal
import threading

_AGAIN = 5.0
"""Seconds after which code that went on in spite of it is interrupted once more."""


class Limit:
    """Interrupt the block after some seconds, and never what the kernel runs after it.

    Only the kernel itself can do so: whoever interrupts from outside cannot know whether the next cell has begun meanwhile.

    Attributes
    ----------
    reached
        Whether it was interrupted for this.
    """

    def __init__(self, seconds: float | None) -> None:
        self.reached = False
        self._seconds = seconds
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.get_ident()

    def __enter__(self) -> None:
        if self._seconds is not None and threading.current_thread() is threading.main_thread():
            threading.Thread(target=self._watch, name="aiinfn-limit", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        # A signal that was sent before this lock is had raises its exception in here at the latest.
        with self._lock:
            self._over.set()

    def _watch(self) -> None:
        wait = self._seconds
        while not self._over.wait(wait):
            with self._lock:
                if self._over.is_set():
                    return
                self.reached = True
                # A real signal: it ends waiting in system calls, too.
                signal.pthread_kill(self._thread, signal.SIGINT)
            wait = _AGAIN
