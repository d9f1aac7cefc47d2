"""The first process of a local session: makes it the person's, prepares the home and becomes the server.

It is run as a file by ``python -I -S``, so that it starts fast and no setting of the person can reach into it; it
therefore imports the standard library only. What touches the person's home is done as the person, because a
privileged process that writes there could be led elsewhere by a symbolic link.

On its standard input it reads the account as JSON. Arguments: the log file, the folder with examples (or nothing), then the command to become.
"""

import contextlib
import ctypes
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_SLAVE = 0x1000, 0x4000, 0x80000


def main(arguments: Sequence[str]) -> None:
    """Drop the way back to privileges, open the log, copy the examples once, and become the command."""
    log, examples, *command = arguments
    unnamed = become(json.load(sys.stdin))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    # From here on no set-uid program gives more rights. Where the kernel lacks it, the uid is what protects.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with contextlib.suppress(OSError):
        open_home(Path.cwd())
    descriptor = open_log(Path(log))
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if unnamed:
        print(f"[aiinfn] {unnamed}", file=sys.stderr, flush=True)  # noqa: T201 - the log
    if examples:
        welcome(Path(examples), Path.cwd(), Path(log).parent / "welcomed")
    os.execv(command[0], command)  # noqa: S606 - this is its purpose; there is no shell


def become(account: dict[str, Any]) -> str:
    """Take on a person's uid, in a mount namespace where it has a name. Nothing is done where all share a uid.

    Returns
    -------
    str
        Why the uid has no name; empty if it has.
    """
    uid, gid = account["uid"], account["gid"]
    if uid is None:
        return ""
    problem = ""
    try:
        name_uid(account)
    except OSError as error:
        problem = f"This machine does not let a session have its own list of accounts ({error.strerror}): whoami has no name"
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    return problem


def name_uid(account: dict[str, Any]) -> None:
    """Put this session's own ``passwd``, ``group`` and ``profile`` in the places of the machine's, for it alone."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, flags: int) -> None:
        if libc.mount(source.encode(), target.encode(), None, ctypes.c_ulong(flags), None) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)

    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "unshare")
    # What the machine mounts later, as automounters do, still arrives here; what is mounted here stays here.
    mount("none", "/", MS_REC | MS_SLAVE)
    for target, text in account["files"].items():
        if not os.path.exists(target):  # noqa: PTH110 - a name out of a dictionary
            continue
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=account["folder"], prefix=".mount-"
        ) as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            # The file's name goes at once; what is mounted stays until the session ends.
            mount(file.name, target, MS_BIND)


def open_home(home: Path) -> None:
    """Open the person's home again that they shut for themselves, for example by ``chmod 0 ~``."""
    status = home.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o700 != 0o700:
        home.chmod(status.st_mode & 0o7777 | 0o700)


def open_log(log: Path) -> int:
    """Open the log; in the runtime folder if something is in its way at home, which must not keep a session from starting."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(log, flags, 0o600)
    except OSError as error:
        try:
            descriptor = os.open(Path(os.environ["XDG_RUNTIME_DIR"], log.name), flags, 0o600)
        except (OSError, KeyError):
            return os.open(os.devnull, os.O_WRONLY)
        os.write(
            descriptor,
            f"[aiinfn] The log is here because {log} cannot be written: {error.strerror}\n".encode(),
        )
        return descriptor


def welcome(examples: Path, home: Path, mark: Path) -> None:
    """Copy the examples into a new home; what is there is kept, and what was deleted later does not come back."""
    if mark.exists():
        return
    try:
        copy(examples, home / examples.name)
        mark.touch(mode=0o600)
    except OSError as error:
        print(f"The examples could not be copied: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the log


def copy(source: Path, target: Path) -> None:
    """Copy a tree file by file, without overwriting and without following what is in the way."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        for entry in sorted(source.iterdir()):
            if entry.name not in {"__pycache__", ".ipynb_checkpoints"}:
                copy(entry, target / entry.name)
    elif source.is_file() and not os.path.lexists(target):
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main(sys.argv[1:])
