"""The shell of JupyterLab's terminals, where a login shell would lose the path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from aiinfn_hub.contract import posix_accounts

_BOURNE: Final = frozenset({"ash", "bash", "dash", "ksh", "mksh", "sh"})


def shell_command() -> list[str] | None:
    """Return the command of a terminal's shell; None where Jupyter's own choice, a login shell, is right.

    Debian's ``/etc/profile`` replaces the path. Where the platform could not see to that file, the login shell hands over
    to one that is none, with the path that this server has.
    """
    shell = os.environ.get("SHELL") or "/bin/sh"
    if not os.environ.get(posix_accounts.PATH) or Path(shell).name not in _BOURNE or _profile_is_ours():
        return None
    return [shell, "-lc", f'PATH="${posix_accounts.PATH}"; export PATH; exec "$0" -i', shell]


def _profile_is_ours() -> bool:
    if Path("/etc/profile.d", posix_accounts.PROFILE_FILE).exists():
        return True
    try:
        return posix_accounts.MARK in Path("/etc/profile").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
