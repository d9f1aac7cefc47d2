"""The attempt: the job as a child process, watched to its end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import time
from typing import Any, Final, NoReturn

from .output import RESOURCES, Log, Splitter, keep
from .resources import Series
from .system import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    boot_id,
    descendants,
    oom_kills,
    prctl,
    start_ticks,
    write_all,
    write_atomically,
)

LEFTOVER_GRACE: Final = 2.0
"""Seconds that processes which the job left behind get between SIGTERM and SIGKILL."""
GIVE_UP: Final = 30.0
"""Seconds after SIGKILL when a process that still is there (stuck in the kernel) is waited for no longer."""
RECORDS_EVERY: Final = 0.2
READY_FD: Final = 3
"""vkd's end of a pipe that is closed here when the job is up."""
EXIT_ROOM: Final = 65536
"""Bytes on disk that are set aside for ``exit.json``."""


def _become_job(spec: dict[str, Any], stdin: int, output: int, parent: int) -> None:
    """Turn this forked process into the job: from here on nothing of the supervisor's rights is left."""
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    # Batch gives way to sessions in processor time, and is the first to go if the machine runs out of memory.
    with contextlib.suppress(OSError):
        os.nice(10)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:  # noqa: PTH123
        stream.write("500")
    os.chdir(spec["cwd"])
    if spec["uid"] is not None:
        os.setgroups([])
        os.setresgid(spec["gid"], spec["gid"], spec["gid"])
        os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    os.umask(0o077)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    # After the change of uid, which clears it. It ends the job's main process should this supervisor be killed.
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.dup2(stdin, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    command = spec["command"]
    os.execve(command[0], command, spec["environment"])  # noqa: S606 - a list, never a shell string


def start_job(spec: dict[str, Any]) -> tuple[int, int]:
    """Start the job.

    Returns
    -------
    tuple
        Its process id, and the end of the pipe from which its output is read.

    Raises
    ------
    OSError
        If its program cannot be executed.
    """
    stdin = os.memfd_create("spec", os.MFD_CLOEXEC)
    write_all(stdin, spec["stdin"].encode())
    os.lseek(stdin, 0, os.SEEK_SET)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    fault_reading, fault_writing = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become_job(spec, stdin, writing, parent)
        except OSError as error:
            os.write(fault_writing, json.dumps([error.errno, error.strerror or "", error.filename]).encode())
        finally:
            os._exit(127)
    for descriptor in (stdin, writing, fault_writing):
        os.close(descriptor)
    fault = os.read(fault_reading, 4096)
    os.close(fault_reading)
    if fault:
        os.waitpid(pid, 0)
        number, text, name = json.loads(fault)
        raise OSError(number, text, name)
    os.set_blocking(reading, False)
    return pid, reading


class Supervisor:
    """One attempt of one job."""

    def __init__(self, folder: str, spec: dict[str, Any], wakeup: int) -> None:
        self._folder = folder
        self._spec = spec
        self._wakeup = wakeup
        self._splitter = Splitter()
        self._log = Log(
            os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600),
            spec["log_limit"],
        )
        self._records: dict[str, Any] = {"serial": 0, "progress": None, "error": None}
        self._series = Series()
        self._measured = False
        self._unwritten = False
        self._written_at = 0.0
        self._output = -1
        self._child = -1
        self._status: int | None = None
        self._childless = False
        self._why = ""
        self._kill_at: float | None = None
        self.asked_to_stop = False

    def run(self) -> dict[str, Any]:
        """Run the job to its end and tell how it ended."""
        me = os.getpid()
        runs = {"pid": me, "ticks": start_ticks(me), "boot": boot_id(), "child": None, "started": time.time()}
        # Before the job's first instruction: an attempt of which this file exists is never begun again.
        write_atomically(f"{self._folder}/run.json", runs)
        ended = {"exit_code": None, "signal": None, "started": None, "message": ""}
        if self.asked_to_stop:
            return {**ended, "ended": time.time(), "why": "stopped"}
        try:
            self._child, self._output = start_job(self._spec)
        except OSError as error:
            message = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
            return {**ended, "ended": time.time(), "why": "start_failed", "message": message[:1000]}
        runs |= {"child": self._child, "started": time.time()}
        with contextlib.suppress(OSError):  # a disk that became full just now is no reason to end the job
            write_atomically(f"{self._folder}/run.json", runs)
        with contextlib.suppress(OSError):
            os.close(READY_FD)
        kills = oom_kills()
        self._watch(time.monotonic() + self._spec["time_limit"])
        code = os.waitstatus_to_exitcode(self._status) if self._status is not None else None
        return {
            **ended,
            "exit_code": code if code is not None and code >= 0 else None,
            "signal": -code if code is not None and code < 0 else None,
            "started": runs["started"],
            "ended": time.time(),
            "why": self._why or "exited",
            "out_of_memory": code == -signal.SIGKILL and not self._why and oom_kills() > kills,
            "records": self._records,
        }

    def _watch(self, limit: float) -> None:
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        while True:
            poll.poll(self._timeout(limit) * 1000)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wakeup, 4096)
            if self._output >= 0 and not self._drain():
                poll.unregister(self._output)
                os.close(self._output)
                self._output = -1
            self._reap()
            now = time.monotonic()
            if self._status is None and not self._why:
                if self.asked_to_stop:
                    self._terminate("stopped", now + self._spec["grace"])
                elif now >= limit:
                    self._terminate("time_limit", now + self._spec["grace"])
            if self._childless or (self._kill_at is not None and now > self._kill_at + GIVE_UP):
                break
            if self._status is not None and self._kill_at is None:
                self._terminate("", now + LEFTOVER_GRACE)
            if self._kill_at is not None and now >= self._kill_at:
                self._kill()
            self._keep_records(now)
        while self._output >= 0 and self._drain(once=True):
            pass
        self._log.write(self._splitter.rest())
        self._keep_records(float("inf"))

    def _timeout(self, limit: float) -> float:
        """Give the seconds until something is due though nothing happens."""
        now = time.monotonic()
        due = [limit] if not self._why and self._status is None else []
        if self._kill_at is not None:
            # In the killing phase rounds are short: a process may have forked while the list was read.
            due.append(max(self._kill_at, now + 0.05))
        if self._unwritten:
            due.append(self._written_at + RECORDS_EVERY)
        return min(60.0, max(0.0, min(due, default=now + 60.0) - now))

    def _drain(self, *, once: bool = False) -> bool:
        """Read what the job printed; False when nobody can print any more (or, with ``once``, nothing is there)."""
        for _ in range(1 if once else 64):
            try:
                data = os.read(self._output, 65536)
            except BlockingIOError:
                return not once
            if not data:
                return False
            text, records = self._splitter.feed(data)
            self._log.write(text)
            for record in records:
                if record["type"] == RESOURCES:
                    self._measured |= self._series.add(record)
                    continue
                keep(self._records, record)
                self._records["serial"] += 1
                self._unwritten = True
        return True

    def _keep_records(self, now: float) -> None:
        if self._unwritten and now >= self._written_at + RECORDS_EVERY:
            self._written_at = now
            # Best effort: what is lost with a full disk is a progress figure, and the next one is tried again.
            with contextlib.suppress(OSError):
                write_atomically(f"{self._folder}/records.json", self._records, durable=False)
                self._unwritten = False
        if self._measured:
            with contextlib.suppress(OSError):
                write_atomically(f"{self._folder}/resources.json", self._series.points, durable=False)
                self._measured = False

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._childless = True
                return
            if pid == 0:
                return
            if pid == self._child:
                self._status = status

    def _terminate(self, why: str, kill_at: float) -> None:
        self._why = why
        self._kill_at = kill_at
        below = descendants(os.getpid())
        if self._status is None:
            with contextlib.suppress(OSError):
                os.killpg(self._child, signal.SIGTERM)
        for pid in below:
            # Once each: programs take a second SIGTERM for impatience.
            with contextlib.suppress(OSError):
                if self._status is not None or os.getpgid(pid) != self._child:
                    os.kill(pid, signal.SIGTERM)

    def _kill(self) -> None:
        if self._status is None:
            with contextlib.suppress(OSError):
                os.killpg(self._child, signal.SIGKILL)
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _reserve_exit(folder: str) -> int:
    """Take the disk space of ``exit.json`` beforehand, so that the end can be told on a full disk."""
    descriptor = os.open(f"{folder}/exit.json.new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.posix_fallocate(descriptor, 0, EXIT_ROOM)
    return descriptor


def _tell_exit(folder: str, descriptor: int, ended: dict[str, Any]) -> None:
    data = json.dumps(ended).encode()
    if len(data) > EXIT_ROOM:
        data = json.dumps({**ended, "records": None}).encode()
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)
    os.rename(f"{folder}/exit.json.new", f"{folder}/exit.json")  # noqa: PTH104 - no pathlib here
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(here)


def main(folder: str) -> NoReturn:
    """Supervise the attempt in a folder."""
    # The spawning process may have let inheritable descriptors through, such as vkd's listening socket.
    os.closerange(READY_FD + 1, 65536)
    with contextlib.suppress(OSError):
        os.set_inheritable(READY_FD, False)
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(0)
    if any(os.path.exists(f"{folder}/{name}") for name in ("run.json", "abandoned")):  # noqa: PTH110
        sys.exit(0)
    with open(f"{folder}/spec.json", encoding="utf-8") as stream:  # noqa: PTH123 - no pathlib here
        spec = json.load(stream)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wakeup, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    reserved = _reserve_exit(folder)
    supervisor = Supervisor(folder, spec, wakeup)

    def stop(*_: object) -> None:
        supervisor.asked_to_stop = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for number in (signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    # vkd starts this with SIGTERM blocked, so that an early one is not lost and does not kill it.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    _tell_exit(folder, reserved, supervisor.run())
    sys.exit(0)
