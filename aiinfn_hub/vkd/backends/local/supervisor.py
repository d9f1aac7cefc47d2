"""The small process above a job: starts it, keeps its log, ends it, and writes down how it ended.

It is run as a file (``python -I -S supervisor.py FOLDER``) and needs the standard library only, so that it starts fast
and stays small. It is its own session and outlives vkd. Everything that it has to say is in its folder:

``spec.json``     what to run (written by vkd before it starts this)
``run.json``      who runs: written before the job's first instruction, completed when the job is up
``log``           what the job prints, up to a limit
``records.json``  the last progress and error that the job told
``exit.json``     how it ended, with the last records; written last, into space set aside at the beginning
``abandoned``     vkd gave this attempt up before it began: it must not run any more

SIGTERM asks it to stop the job: SIGTERM to all of the job's processes, and SIGKILL to what is left after the grace
period. It is a *subreaper*: whatever the job starts and however it detaches, it stays a descendant and is ended too.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import sys
import time
from typing import Any, Final, NoReturn

RECORD_START: Final = b"\x1e"
RECORD_LIMIT: Final = 256 * 1024
RECORD_TYPES: Final = ("progress", "error")
LEFTOVER_GRACE: Final = 2.0
"""Seconds that processes which the job left behind get between SIGTERM and SIGKILL."""
GIVE_UP: Final = 30.0
"""Seconds after SIGKILL when a process that still is there (stuck in the kernel) is waited for no longer."""
RECORDS_EVERY: Final = 0.2
READY_FD: Final = 3
"""vkd's end of a pipe that is closed here when the job is up."""
EXIT_ROOM: Final = 65536
"""Bytes on disk that are set aside for ``exit.json``."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38


def boot_id() -> str:
    """Give what tells one boot of this machine from another."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:  # noqa: PTH123 - no pathlib here
            return stream.read().strip()
    except OSError:
        return ""


def stat_fields(pid: int | str) -> list[bytes]:
    """Read what ``/proc/PID/stat`` has after the name: state, parent, ... ; empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123 - no pathlib here
            data = stream.read()
    except OSError:
        return []
    return data[data.rfind(b")") + 2 :].split()


def start_ticks(pid: int) -> int | None:
    """Give a process's start in clock ticks since boot, which tells it from a later one of the same number.

    None if it is gone, or a zombie.
    """
    fields = stat_fields(pid)
    return int(fields[19]) if fields and fields[0] not in {b"Z", b"X"} else None


def descendants(root: int) -> list[int]:
    """List the processes below one, those that detached themselves included if it is a subreaper."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - no pathlib here
        if name.isdigit() and (fields := stat_fields(name)) and fields[0] != b"Z":
            children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    frontier = [root]
    while frontier:
        below = children.get(frontier.pop(), [])
        found += below
        frontier += below
    return found


def write_atomically(path: str, value: Any, *, durable: bool = True) -> None:
    """Replace a JSON file as a whole, and, if ``durable``, so that it survives a power cut."""
    draft = f"{path}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write_all(descriptor, json.dumps(value).encode())
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(draft, path)  # noqa: PTH104 - no pathlib here


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Splitter:
    """Takes the records out of a stream of bytes, wherever the chunks are cut.

    A record is RECORD_START, one JSON object of a known type, and a newline. What only looks like one stays text.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> tuple[bytes, list[dict[str, Any]]]:
        """Give the text and the records that are complete now."""
        text: list[bytes] = []
        records: list[dict[str, Any]] = []
        while data:
            if not self._held:
                before, start, data = data.partition(RECORD_START)
                text.append(before)
                self._held += start
                continue
            # JSON never holds a raw RECORD_START: if one comes first, the earlier one began no record.
            cut = min(
                (at for at in (data.find(b"\n"), data.find(RECORD_START)) if at >= 0), default=len(data)
            )
            self._held += data[:cut]
            data = data[cut:]
            if data[:1] == b"\n":
                record = _as_record(self._held[1:])
                if record is not None:
                    records.append(record)
                    data = data[1:]
                else:
                    text.append(bytes(self._held))
                self._held.clear()
            elif data or len(self._held) > RECORD_LIMIT:
                text.append(bytes(self._held))
                self._held.clear()
        return b"".join(text), records

    def rest(self) -> bytes:
        """Give what was held back when the stream ended."""
        held = bytes(self._held)
        self._held.clear()
        return held


def _as_record(line: bytearray) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("type") in RECORD_TYPES else None


class Log:
    """The job's log: it never grows past its limit, and a full disk costs text but not the job."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._room = limit
        self._limit = limit
        self._missing = False
        self._told_missing = False

    def write(self, data: bytes) -> None:
        """Append what there is room for."""
        if self._room <= 0 or not data:
            return
        if self._missing and not self._told_missing:
            notice = b"\n[aiinfn] Some output is missing here: the disk was full.\n"
            self._told_missing = self._append(notice)
        if len(data) >= self._room:
            self._append(data[: self._room])
            self._room = 0
            self._append(
                f"\n[aiinfn] The log ends here: it reached {self._limit / 2**20:.4g} MiB.\n".encode()
            )
        else:
            self._room -= len(data)
            self._append(data)

    def _append(self, data: bytes) -> bool:
        try:
            _write_all(self._descriptor, data)
        except OSError:
            self._missing = True
            return False
        return True


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.c_ulong(0)
    if libc.prctl(option, ctypes.c_ulong(value), nothing, nothing, nothing) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


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
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # After the change of uid, which clears it. It ends the job's main process should this supervisor be killed.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
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
    _write_all(stdin, spec["stdin"].encode())
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
        self._watch(time.monotonic() + self._spec["time_limit"])
        code = os.waitstatus_to_exitcode(self._status) if self._status is not None else None
        return {
            **ended,
            "exit_code": code if code is not None and code >= 0 else None,
            "signal": -code if code is not None and code < 0 else None,
            "started": runs["started"],
            "ended": time.time(),
            "why": self._why or "exited",
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
                self._records[record["type"]] = record
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
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
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


if __name__ == "__main__":
    main(sys.argv[1])
