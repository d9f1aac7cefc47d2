"""Background processes that outlive the command which started them.

Each one runs in its own session, writes to ``logs/NAME.log`` and is remembered in ``run/NAME.json`` with its start
time, which makes a stale file harmless: a process id that the kernel has since given to somebody else does not match.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Processes:
    """The processes of one cluster, by name.

    Parameters
    ----------
    root
        The cluster's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run = root / "run"
        self.logs = root / "logs"

    def start(self, name: str, argv: Sequence[str | Path]) -> None:
        """Start a process; its output is added to its log."""
        if self.alive(name):
            raise RuntimeError(f"{name} is already running")
        self.run.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        words = [str(word) for word in argv]
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                start_new_session=True,
            )
        record = {"pid": child.pid, "started": _start_time(child.pid), "argv": words}
        self._record(name).write_text(json.dumps(record))
        child.returncode = 0  # it is meant to outlive this object: keep subprocess from warning about it

    def start_again(self, name: str) -> None:
        """Start a process that was stopped or killed, with the arguments it had."""
        record = self._read(name)
        if record is None:
            raise RuntimeError(f"{name} was never started")
        self.start(name, record["argv"])

    def stop(self, name: str, timeout: float = 10) -> None:
        """Send SIGTERM, then SIGKILL after ``timeout`` seconds; return when the process is gone."""
        self._end(name, signal.SIGTERM, timeout)

    def kill(self, name: str) -> None:
        """Send SIGKILL; return when the process is gone."""
        self._end(name, signal.SIGKILL, 5)

    def pid(self, name: str) -> int | None:
        """Process id of a live process, else None."""
        record = self._read(name)
        if record is None:
            return None
        pid = int(record["pid"])
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # where this process is the parent: let a dead child go
        started = _start_time(pid)
        return pid if started is not None and started == record["started"] else None

    def alive(self, name: str) -> bool:
        """Whether it runs."""
        return self.pid(name) is not None

    def names(self) -> list[str]:
        """Every process that was started, dead or alive."""
        return sorted(p.stem for p in self.run.glob("*.json"))

    def log(self, name: str) -> Path:
        """Where its output goes."""
        return self.logs / f"{name}.log"

    def tail(self, name: str, lines: int = 15) -> str:
        """Its last words."""
        try:
            return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def _end(self, name: str, first: signal.Signals, patience: float) -> None:
        pid = self.pid(name)
        for number, seconds in ((first, patience), (signal.SIGKILL, 5)):
            if pid is None:
                return
            os.kill(pid, number)
            deadline = time.monotonic() + seconds
            while pid is not None and time.monotonic() < deadline:
                time.sleep(0.02)
                pid = self.pid(name)
        if pid is not None:
            raise RuntimeError(f"{name} (pid {pid}) does not die")

    def _record(self, name: str) -> Path:
        return self.run / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads(self._record(name).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return record


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat, or None for a process that is gone or a zombie.

    Where process 1 does not reap orphans (some containers), stopped processes stay as zombies. A zombie that still has
    other threads is not gone: they keep its files and ports for a moment.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" and threads <= 1 else fields[19]
