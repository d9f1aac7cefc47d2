"""Processes of local sessions: starting one as a person, and ending all that came from it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from aiinfn_hub.contract import posix_accounts
from aiinfn_hub.host.accounts import Account

COOKIE: Final = "AIINFN_SESSION"
"""Environment variable with a random word per start. Kernels and terminals have process groups of their own; they are
known by it even when their parent is gone."""
TERMINATE: Final = 8.0
"""Seconds for the server to shut its kernels down after SIGTERM."""
KILL: Final = 5.0
"""Seconds for processes to vanish after SIGKILL."""
LOG: Final = ".aiinfn/session.log"
"""A session's own output, relative to the home."""

_LAUNCH: Final = Path(__file__).with_name("launch.py")
_CLOCK_TOLERANCE: Final = 0.05


def launch(
    command: Sequence[str], env: Mapping[str, str], account: Account, examples: Path | None
) -> subprocess.Popen[bytes]:
    """Start a session's server as its person, in the home, with exactly this environment."""
    arguments = [str(account.home / LOG), str(examples or ""), *command]
    # Not as an argument, which may have 128 KiB at most: a machine's list of accounts may be long.
    with os.fdopen(os.memfd_create("aiinfn-first-steps"), "w+", encoding="utf-8") as steps:
        json.dump(_first_steps(account, env), steps)
        steps.flush()
        steps.seek(0)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCH), *arguments],
            cwd=account.home,
            env=dict(env),
            stdin=steps,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            umask=0o077,
        )


def _first_steps(account: Account, env: Mapping[str, str]) -> dict[str, Any]:
    """Return what `launch.py` needs, which becomes the person by itself: it first gives the uid a name."""
    steps: dict[str, Any] = {"uid": account.uid, "gid": account.gid}
    if account.uid is not None and account.gid is not None:
        login = posix_accounts.login_name(account.name, account.slug)
        steps["folder"] = str(Path(env["XDG_RUNTIME_DIR"]).parent)
        steps["files"] = {
            "/etc/passwd": posix_accounts.passwd(
                _text("/etc/passwd"),
                login,
                account.uid,
                account.gid,
                account.name,
                str(account.home),
                env["SHELL"],
            ),
            "/etc/group": posix_accounts.group(_text("/etc/group"), login, account.gid),
            "/etc/profile": f"{_text('/etc/profile').rstrip()}\n\n{posix_accounts.PROFILE}",
        }
    return steps


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def started_at(pid: int) -> float:
    """Return the start of a process in seconds since the epoch, or 0 if it is gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def alive(pid: int, started: float) -> bool:
    """Return whether that very process runs; the same number may be another process after a while."""
    try:
        process = psutil.Process(pid)
        return (
            abs(process.create_time() - started) < _CLOCK_TOLERANCE
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False


async def end(pid: int, started: float, cookie: str, *, now: bool = False) -> bool:
    """End a session's server and everything that came from it.

    The server gets SIGTERM and the time to shut down its kernels; whatever is left then is killed.

    Returns
    -------
    bool
        Whether everything is gone.
    """
    if not now and alive(pid, started):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        await _until_dead(pid, started, TERMINATE)
    deadline = time.monotonic() + KILL
    while left := await asyncio.to_thread(_descendants, pid, started, cookie):
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def _until_dead(pid: int, started: float, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while alive(pid, started) and time.monotonic() < deadline:  # noqa: ASYNC110 - of a process there is no event
        await asyncio.sleep(0.1)


def _descendants(pid: int, started: float, cookie: str) -> list[psutil.Process]:
    """Find what runs of a session: its server, and by their environment its kernels, terminals and all they started."""
    found = []
    mark = f"{COOKIE}={cookie}".encode()
    for process in psutil.process_iter():
        try:
            if process.pid == pid:
                ours = alive(pid, started)
            else:
                ours = (
                    bool(cookie)
                    and mark in _environment(process.pid)
                    and process.status() != psutil.STATUS_ZOMBIE
                )
        except psutil.Error:
            continue
        if ours:
            found.append(process)
    return found


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
