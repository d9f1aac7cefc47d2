"""What the runner sets up inside a job's IPython kernel.

The text of this file is executed in the kernel, whose environment may have neither this package nor its Python: it imports
the standard library and what ipykernel itself needs only, and leaves nothing in the person's namespace but an ``exit`` that ends the job.
"""

# ruff: noqa: SLF001 - IPython and ipykernel have no public way to these

from __future__ import annotations

import codecs
import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
from typing import Any

STOPPED = "aiinfn_stopped"
"""Type of the message that says: the code is held, and all that it wrote was sent."""
EXIT = "aiinfn-exit "
"""What the traceback in a reply begins with where the code asked for its end; the exit code as JSON follows, None for a text."""

_FLUSH = 600.0
"""Seconds that a flush may wait for the runner, which may be busy writing a large notebook to a slow disk."""
_SETTLE = 0.2
"""Seconds that a cell's end may wait for what is on its way: something that it left behind may write all the time."""
RESTART = "aiinfn-restart"
"""Text of the SystemExit of code that restarts its kernel."""


class KernelSideJob:
    """One job's kernel."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._pid = os.getpid()
        self._threads = set(threading.enumerate())
        self._stopping = False
        self._watched: list[_Watched] = []
        self._streams: list[Any] = [
            each
            for each in (sys.stdout, sys.stderr)
            if hasattr(each, "pub_thread") and hasattr(each, "_flush")
        ]

    def set_up(self) -> dict[str, Any]:
        """Prepare everything.

        Returns
        -------
        dict
            ``pipes``, the descriptors of the pipes that the kernel watches for its standard streams, and ``lossless``, whether
            the kernel waits for the runner instead of dropping outputs.
        """
        lossless = self._drop_nothing()
        self._end_on_exit()
        self._watched = [each for each in map(_watch, self._streams) if each is not None]
        if self._watched:
            self._shell.events.register("post_execute", self._settle)
        if signal.getsignal(signal.SIGTERM) in {signal.SIG_DFL, None}:
            signal.signal(signal.SIGTERM, self._stop)
        return {"pipes": [each.pipe for each in self._watched], "lossless": lossless}

    def _drop_nothing(self) -> bool:
        """Let the kernel wait where it is too far ahead of the runner; return whether it does.

        By default ZeroMQ drops what does not fit into its queue of 1,000 messages. If the runner ends, the queue ends with the
        connection, so that nothing waits for it.
        """
        thread = getattr(self._shell.kernel, "iopub_thread", None)
        try:
            import zmq  # noqa: PLC0415

            done = threading.Event()

            # A socket may be used by its own thread only.
            def configure() -> None:
                thread.socket.setsockopt(zmq.XPUB_NODROP, 1)  # type: ignore[union-attr]
                done.set()

            thread.schedule(configure)  # type: ignore[union-attr]
        except (ImportError, AttributeError):
            return False
        for stream in self._streams:
            stream.flush_timeout = _FLUSH
        return done.wait(_FLUSH)

    # The end that the code asks for

    def _end_on_exit(self) -> None:
        """Let ``exit()`` and ``quit()`` end the cell as they end a script, and SystemExit say no more than that."""
        shell = self._shell

        class Exit(type(shell.exiter)):  # type: ignore[misc]
            """Ends the job, with success unless an exit code or a text is given."""

            def __call__(self, code: object = None) -> None:
                raise SystemExit(code)

        ending = Exit(shell)
        for name in ("exit", "quit"):
            if shell.user_ns.get(name) is shell.exiter:
                shell.user_ns[name] = shell.user_ns_hidden[name] = ending
        shell.exiter = ending
        show = shell.showtraceback

        def showtraceback(*args: Any, **more: Any) -> Any:
            kind, value = sys.exc_info()[:2]
            if not (more.get("exception_only") and kind is not None and issubclass(kind, SystemExit)):
                return show(*args, **more)
            shell._last_traceback = [EXIT + json.dumps(_exit_code(value.code))]  # type: ignore[union-attr]
            return None

        shell.showtraceback = showtraceback
        shut_down = shell.kernel.do_shutdown

        def do_shutdown(restart: bool) -> Any:
            # ipykernel calls it at the end; who calls it in a cell wants a fresh kernel, which a job does not get.
            if sys._getframe(1).f_globals.get("__name__", "").startswith("ipykernel."):
                return shut_down(restart)
            raise SystemExit(RESTART if restart else None)

        shell.kernel.do_shutdown = do_shutdown
        self._advise_less()

    def _advise_less(self) -> None:
        """Leave out IPython's advice on how to leave it, which is none for a job."""
        module = sys.modules["IPython.core.interactiveshell"]
        advise = getattr(module, "warn", None)
        if advise is not None:

            def warn(message: object, *args: Any, **more: Any) -> None:
                if not str(message).startswith("To exit:"):
                    advise(message, *args, **{**more, "stacklevel": more.get("stacklevel", 1) + 1})

            module.warn = warn  # type: ignore[attr-defined]

    # The order to stop

    def _stop(self, number: int, frame: Any) -> None:
        """Hold the code where it is, send what it wrote, and end.

        Nothing is raised in the code, which could take it for a failure of its own and write that into its results.
        """
        if os.getpid() != self._pid:  # a child that was forked, e.g. by multiprocessing
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if self._stopping:
            return
        self._stopping = True
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end = time.monotonic() + 2.0
        for stream in self._streams:
            # The code that holds the lock never goes on, and the thread that sends needs it.
            with contextlib.suppress(RuntimeError, AttributeError):
                while True:
                    stream._buffer_lock.release()
        self._settle()
        with contextlib.suppress(Exception):
            flushed = threading.Event()
            for stream in self._streams:
                stream.pub_thread.schedule(stream._flush)
            self._streams[0].pub_thread.schedule(flushed.set)
            flushed.wait(1.0)
            kernel = self._shell.kernel
            kernel.session.send(kernel.iopub_socket, STOPPED, {}, ident=b"aiinfn")
        # The runner ends this process when it has read that.
        while time.monotonic() < end:
            time.sleep(0.05)
        signal.signal(number, signal.SIG_DFL)
        os.kill(self._pid, number)

    def _settle(self) -> None:
        """Wait until what is in the pipes was taken in: it belongs to this cell."""
        end = time.monotonic() + _SETTLE
        for each in self._watched:
            while not each.settled() and time.monotonic() < end:
                time.sleep(0.001)

    # The end of the last cell

    def finish(self) -> str:
        """Wait for what a script would wait for at its end, and return what does not get to its end, as JSON."""
        # Idle workers of pools end, others do when their work is done.
        for end in reversed(getattr(threading, "_threading_atexits", [])):
            end()
        while True:
            threads = [
                each
                for each in threading.enumerate()
                if not each.daemon and each not in self._threads and each is not threading.current_thread()
            ]
            if not threads:
                break
            for each in threads:
                each.join()
        if "multiprocessing" in sys.modules:
            for child in sys.modules["multiprocessing"].active_children():
                if not child.daemon:
                    child.join()
        for stream in self._streams:
            stream.flush()
        return json.dumps(self._tasks())

    def _tasks(self) -> int:
        """Count the tasks of the person's code that are still pending."""
        if "asyncio" not in sys.modules:
            return 0
        import asyncio  # noqa: PLC0415

        kept = {id(each) for each in self._shell.user_ns.values()}
        count = 0
        for task in asyncio.all_tasks(asyncio.get_event_loop()):
            frame = getattr(task.get_coro(), "cr_frame", None)
            count += id(task) in kept or (frame is not None and frame.f_globals is self._shell.user_ns)
        return count


def set_up(shell: Any) -> str:
    """Prepare a kernel; return what `KernelSideJob.set_up` does, as JSON."""
    shell.kernel.aiinfn_job = job = KernelSideJob(shell)
    return json.dumps(job.set_up())


def _exit_code(code: object) -> int | None:
    """Return the exit code that Python would end with; None for a text, which ends with 1."""
    if code is None:
        return 0
    return int(code) & 0xFF if isinstance(code, int) else None


class _Watched:
    """Takes what reaches a descriptor into the notebook, once.

    ipykernel does it as well, but then repeats it outside of the notebook; and it loses what compiled code says just before it
    ends the process. Here that stays in the pipe, where the runner finds it: nothing is read without the interpreter's lock.

    Attributes
    ----------
    pipe
        Where it is read.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        own = stream._original_stdstream_fd
        self.pipe, writing = os.pipe()
        os.dup2(writing, own)
        os.close(writing)
        # What is given this stream as its own output, e.g. by subprocess, shows in the notebook like all else.
        stream.fileno = lambda: own
        # The former thread waits for ever at a pipe of its own; `OutStream.close` waits for this one.
        stream.watch_fd_thread = threading.Thread(target=self._run, name=f"watch {stream.name}", daemon=True)
        stream.watch_fd_thread.start()

    def settled(self) -> bool:
        """Whether there is nothing on its way."""
        with self._lock:
            return not select.select([self.pipe], [], [], 0)[0]

    def _run(self) -> None:
        while select.select([self.pipe], [], []) and self._stream._should_watch:
            with self._lock:
                data = os.read(self.pipe, 65536)
                if not data:
                    return
                self._stream.write(self._decoder.decode(data))


def _watch(stream: Any) -> _Watched | None:
    names = ("_should_watch", "_original_stdstream_fd", "watch_fd_thread")
    watched = all(hasattr(stream, name) for name in names) and stream._should_watch
    return _Watched(stream) if watched else None
