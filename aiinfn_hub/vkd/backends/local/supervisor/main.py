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

from aiinfn_hub.vkd.backends.common.ending import SUPERVISOR_FAILED, SUPERVISOR_KILLED, ends_as_told
from aiinfn_hub.vkd.backends.common.runner_output import Log, Recorder, Splitter
from aiinfn_hub.vkd.backends.common.system import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    RecentOomKills,
    boot_id,
    descendants,
    is_terminating,
    prctl,
    start_ticks,
    write_all,
    write_atomically,
)

from .marks import Marks

LEFTOVER_GRACE: Final = 2.0
"""Seconds that processes which the job left behind get between SIGTERM and SIGKILL."""
RECORDS_EVERY: Final = 0.2
READY_FD: Final = 3
"""vkd's end of a pipe that is closed here when the job is up."""
EXIT_ROOM: Final = 65536
"""Bytes on disk that are set aside for ``exit.json``."""


def _become_job(spec: dict[str, Any], stdin: int, output: int, parent: int, marks: Marks) -> None:
    """Turn this forked process into the job: from here on nothing of the supervisor's rights is left."""
    os.setsid()
    marks.enter()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    # Batch yields to sessions in processor time, and is the first to go if the machine runs out of memory.
    with contextlib.suppress(OSError):
        os.nice(10)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as stream:  # noqa: PTH123
        stream.write("500")
    os.chdir(spec["cwd"])
    if spec["uid"] is not None:
        marks.set_groups()
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


def start_job(spec: dict[str, Any], marks: Marks) -> tuple[int, int]:
    """Start the job.

    Parameters
    ----------
    marks
        What it gets so that its processes are found, whatever happens to this one.

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
            _become_job(spec, stdin, writing, parent, marks)
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

    def __init__(self, folder: str, spec: dict[str, Any], wakeup: int, guard: int) -> None:
        self._folder = folder
        self._spec = spec
        self._guard = guard
        self._marks = Marks(folder, spec)
        self._wakeup = wakeup
        self._splitter = Splitter()
        self._log = Log(
            os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600),
            spec["log_limit"],
        )
        self._told = Recorder()
        self._written_at = 0.0
        self._output = -1
        self._child = -1
        self._status: int | None = None
        self._childless = False
        self._why = ""
        self._kill_at: float | None = None
        self._unguarded = False
        self._kills = RecentOomKills()
        self._out_of_memory = False
        self.asked_to_stop = False
        self.guard_is_gone = False

    def run(self) -> dict[str, Any]:
        """Run the job to its end and tell how it ended."""
        me, guard = os.getpid(), self._guard
        runs = {
            "pid": guard,
            "ticks": start_ticks(guard),
            "supervisor": me,
            "supervisor_ticks": start_ticks(me),
            "boot": boot_id(),
            "cgroup": self._marks.cgroup,
            "child": None,
            "started": time.time(),
        }
        # Before the job's first instruction: an attempt of which this file exists is never begun again.
        write_atomically(f"{self._folder}/run.json", runs)
        ended = {"exit_code": None, "signal": None, "started": None, "message": ""}
        if self.asked_to_stop:
            return {**ended, "ended": time.time(), "why": "stopped"}
        try:
            self._child, self._output = start_job(self._spec, self._marks)
        except OSError as error:
            message = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
            return {**ended, "ended": time.time(), "why": "start_failed", "message": message[:1000]}
        runs |= {"child": self._child, "started": time.time()}
        with contextlib.suppress(OSError):  # a disk that became full just now is no reason to end the job
            write_atomically(f"{self._folder}/run.json", runs)
        with contextlib.suppress(OSError):
            os.close(READY_FD)
        self._kills = RecentOomKills(self._marks.cgroup)
        self._watch(time.monotonic() + self._spec["time_limit"])
        code = os.waitstatus_to_exitcode(self._status) if self._status is not None else None
        return {
            **ended,
            "exit_code": code if code is not None and code >= 0 else None,
            "signal": -code if code is not None and code < 0 else None,
            "started": runs["started"],
            "ended": time.time(),
            "why": self._why or self._why_by_itself(code),
            "out_of_memory": code == -signal.SIGKILL and not self._why and self._out_of_memory,
            "records": self._told.kept.records,
        }

    def _why_by_itself(self, code: int | None) -> str:
        """Explain why it ended if nothing here ended it, but perhaps what is about to end this process, too."""
        if code is not None and ends_as_told(code, -code):
            # Who kills, or stops, all processes of a job gets at them one by one, and in any order.
            if code == -signal.SIGKILL and (self.guard_is_gone or is_terminating(self._guard)):
                return SUPERVISOR_KILLED
            if self.asked_to_stop:
                return "stopped"
        return "exited"

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
            self._heed(limit)
            # However long it takes: while a process of the attempt lives, its devices are in use.
            if self._childless:
                break
            if self._status is not None and self._kill_at is None:
                self._terminate("", LEFTOVER_GRACE)
            now = time.monotonic()
            if self._kill_at is not None and now >= self._kill_at:
                self._kill()
            self._keep_records(now)
            if self._status is None:
                self._kills.look(now)
        while self._output >= 0 and self._drain(once=True):
            pass
        self._log.write(self._splitter.rest())
        self._keep_records(float("inf"))

    def _heed(self, limit: float) -> None:
        """End the job if it has to end now."""
        if self.guard_is_gone and not self._unguarded:
            # Nobody is left to clean up after this process, so it ends what it can now.
            self._unguarded, self._kill_at = True, time.monotonic()
            if self._status is None:  # else it had ended, and is told so
                self._why = self._why or SUPERVISOR_KILLED
        if self._status is None and not self._why:
            if self.asked_to_stop:
                self._terminate("stopped", self._spec["grace"])
            elif time.monotonic() >= limit:
                self._terminate("time_limit", self._spec["grace"])

    def _timeout(self, limit: float) -> float:
        """Return the seconds until something is due though nothing happens."""
        now = time.monotonic()
        due = [limit, now + RecentOomKills.WINDOW] if not self._why and self._status is None else []
        if self._kill_at is not None:
            # In the killing phase rounds are short: a process may have forked while the list was read. One that does
            # not go away, because it is stuck in the kernel, is not asked all the time.
            pause = min(1.0, max(0.05, (now - self._kill_at) / 10))
            due.append(max(self._kill_at, now + pause))
        if self._told.news:
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
            self._log.write(self._told.add(records))
        return True

    def _keep_records(self, now: float) -> None:
        told = self._told
        if told.news and now >= self._written_at + RECORDS_EVERY:
            self._written_at = now
            # Best effort: what is lost with a full disk is a progress figure, and the next one is tried again.
            with contextlib.suppress(OSError):
                write_atomically(f"{self._folder}/records.json", told.kept.records, durable=False)
                told.news = False
        if told.measured:
            with contextlib.suppress(OSError):
                write_atomically(f"{self._folder}/resources.json", told.series.points, durable=False)
                told.measured = False

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
                # Now, not when all is over: by then another's process may have been ended because memory ran out.
                self._out_of_memory = self._kills.any()

    def _terminate(self, why: str, grace: float) -> None:
        self._why = why
        below = descendants(os.getpid())
        if self._status is None:
            with contextlib.suppress(OSError):
                os.killpg(self._child, signal.SIGTERM)
        for pid in below:
            # Once each: programs take a second SIGTERM for impatience.
            with contextlib.suppress(OSError):
                if self._status is not None or os.getpgid(pid) != self._child:
                    os.kill(pid, signal.SIGTERM)
        # Counted from when all of them were told, so that each has the whole grace period on a busy machine, too.
        self._kill_at = time.monotonic() + grace

    def _kill(self) -> None:
        if self._status is None:
            with contextlib.suppress(OSError):
                os.killpg(self._child, signal.SIGKILL)
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def _reserve_exit(folder: str) -> int:
    """Take the disk space of ``exit.json`` beforehand, so that the end can be reported on a full disk."""
    descriptor = os.open(f"{folder}/exit.json.new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.posix_fallocate(descriptor, 0, EXIT_ROOM)
    return descriptor


def _tell_exit(folder: str, descriptor: int, ended: dict[str, Any]) -> None:
    # Not as ASCII, which could take three times the room; a message may have parts of a name that is no text.
    data = json.dumps(ended, ensure_ascii=False).encode(errors="backslashreplace")
    if len(data) > EXIT_ROOM:
        data = json.dumps({**ended, "records": None}).encode()
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)
    os.rename(f"{folder}/exit.json.new", f"{folder}/exit.json")  # noqa: PTH104 - no pathlib here
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(here)


def kill_below(root: int, marks: Marks) -> None:
    """End everything below a subreaper, and all that has its marks, however long it takes."""
    began = time.monotonic()
    while True:
        found = set(descendants(root)) | set(marks.processes())
        found.discard(root)
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not found:
            return
        time.sleep(min(1.0, max(0.02, (time.monotonic() - began) / 10)))


def _supervise(folder: str, spec: dict[str, Any], reserved: int, guard: int) -> NoReturn:
    """Be the supervisor, below its guard."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wakeup, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    supervisor = Supervisor(folder, spec, wakeup, guard)

    def stop(*_: object) -> None:
        supervisor.asked_to_stop = True

    def unguarded(*_: object) -> None:
        supervisor.guard_is_gone = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for number in (signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGUSR1, unguarded)
    prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != guard:
        sys.exit(0)
    # vkd starts this with SIGTERM blocked, so that an early one is not lost and does not kill it.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        ended = supervisor.run()
    except Exception as error:
        # Whatever it is: no process of the job stays behind, and the fault is found in `supervisor.err`.
        traceback_of(error)
        kill_below(os.getpid(), Marks(folder, spec))
        ended = _without_word(SUPERVISOR_FAILED, f"{type(error).__name__}: {error}"[:500])
    _tell_exit(folder, reserved, ended)
    sys.exit(0)


def traceback_of(error: BaseException) -> None:
    """Write a fault of this program to its standard error."""
    sys.excepthook(type(error), error, error.__traceback__)


def _without_word(why: str, message: str) -> dict[str, Any]:
    return {
        "exit_code": None,
        "signal": None,
        "started": None,
        "ended": time.time(),
        "why": why,
        "message": message,
    }


def _guard(folder: str, spec: dict[str, Any], reserved: int, supervisor: int) -> NoReturn:
    """Wait for the supervisor. If it was killed, end what it leaves, and say so.

    vkd follows this process: it is the last of an attempt, and while it lives the attempt's devices are in use. It
    does nothing but wait, so that little can happen to it; should it be killed, the supervisor ends the job.
    """
    with contextlib.suppress(OSError):
        os.close(READY_FD)

    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(OSError):
            os.kill(supervisor, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    status = 0
    while True:
        pid, found = os.waitpid(-1, 0)
        if pid == supervisor:
            status = os.waitstatus_to_exitcode(found)
            break
    marks = Marks(folder, spec)
    kill_below(os.getpid(), marks)
    marks.remove()
    if not os.path.exists(f"{folder}/exit.json"):  # noqa: PTH110 - no pathlib here
        why = SUPERVISOR_KILLED if status < 0 else SUPERVISOR_FAILED
        message = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        # Before the job's first instruction there is nothing to tell, and vkd lets it begin again.
        if os.path.exists(f"{folder}/run.json"):  # noqa: PTH110
            _tell_exit(folder, reserved, _without_word(why, message))
    sys.exit(0)


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
    reserved = _reserve_exit(folder)
    guard = os.getpid()
    supervisor = os.fork()
    if supervisor == 0:
        _supervise(folder, spec, reserved, guard)
    _guard(folder, spec, reserved, supervisor)
