"""A kernel's sockets, private to its person.

Jupyter's messages are signed, not encrypted, and whoever can connect to a kernel's TCP port on loopback reads code and
outputs. On a machine that is shared, a kernel therefore listens on Unix sockets in a folder of mode 0700, else on TCP with
CurveZMQ encryption, else not at all.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Final

from aiinfn_hub.contract.private_kernels import PREFERRED, REQUIRED, VARIABLE
from aiinfn_lab.i18n.language import gettext as _

LONGEST: Final = 107
"""Bytes of a Unix socket's path (sun_path in unix(7))."""
_SUFFIX: Final = len("-5")
"""A kernel has five sockets, whose names end so."""

_PYTHON_MODULES: Final = frozenset(
    {"ipykernel", "ipykernel_launcher", "bash_kernel", "metakernel_python", "octave_kernel", "sos_kernel"}
)
"""Kernels that are built on ipykernel's application and so speak all that it does."""
_XEUS: Final = frozenset(
    {
        "xcpp",
        "xcpp11",
        "xcpp14",
        "xcpp17",
        "xcpp20",
        "xlua",
        "xnelson",
        "xoctave",
        "xpython",
        "xr",
        "xsql",
        "xsqlite",
    }
)
"""Programs of the kernels that are built on xeus-zmq."""


class Transport(Enum):
    """How a kernel is reached by nobody else."""

    IPC = "ipc"
    """Unix sockets."""
    CURVE = "curve"
    """TCP on loopback, encrypted with keys that stand in the connection file (mode 0600)."""


def required(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a kernel that cannot be private must not be started."""
    return environment.get(VARIABLE) == REQUIRED


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether kernels are to be private wherever they can."""
    return environment.get(VARIABLE) in {REQUIRED, PREFERRED}


def private_transports(argv: Sequence[str], metadata: Mapping[str, Any]) -> list[Transport]:
    """Return the ways in which nobody else reaches a kernel, by its specification; the best first.

    Kernel specifications have no field for Unix sockets. What is known to read ``"transport": "ipc"`` of the connection file
    is listed here; any other kernel says it by ``"aiinfn": {"transport": "ipc"}`` in the metadata of its ``kernel.json``. One
    that says so in error does not start, because it is given the path of a socket for its address.
    """
    found = []
    own = metadata.get("aiinfn")
    if (isinstance(own, Mapping) and own.get("transport") == "ipc") or _speaks_ipc(argv):
        found.append(Transport.IPC)
    encryption = metadata.get("supported_encryption")
    names = [encryption] if isinstance(encryption, str) else encryption
    if isinstance(names, Sequence) and "curve" in {str(name).strip().lower() for name in names}:
        found.append(Transport.CURVE)
    return found


def _speaks_ipc(argv: Sequence[str]) -> bool:
    program = PurePath(argv[0]).name if argv else ""
    if "-m" in argv[:-1] and argv[argv.index("-m") + 1].partition(".")[0] in _PYTHON_MODULES:
        return True
    if program in _XEUS:
        return True
    words = " ".join(argv)
    return "IRkernel::main" in words or "IJulia" in words


def make_private(manager: Any, transport: Transport, folder: Callable[[], Path]) -> None:
    """Let a kernel manager of `jupyter_client`, before it starts its kernel, use a transport.

    Parameters
    ----------
    folder
        Returns a folder of mode 0700, where the sockets of ``Transport.IPC`` are made.

    Raises
    ------
    OSError
        If the folder's path is too long for a socket.
    """
    if transport is Transport.IPC:
        manager.transport = "ipc"
        manager.ip = socket_prefix(folder())
        if manager.has_trait("transport_encryption"):
            manager.transport_encryption = "disabled"
    elif transport is Transport.CURVE:
        manager.transport = "tcp"
        manager.transport_encryption = "required"


def socket_prefix(folder: Path) -> str:
    """Return what the names of a new kernel's sockets begin with.

    Raises
    ------
    OSError
        If the names would be too long.
    """
    prefix = str(folder / f"k{secrets.token_hex(4)}")
    if len(os.fsencode(prefix)) + _SUFFIX > LONGEST:
        raise OSError(f"the path of {folder} is too long for the sockets of a kernel")
    return prefix


def refusal(name: str) -> str:
    """Return the sentence that says why a kernel is not offered."""
    return _(
        "The kernel “{name}” is not offered on this machine, because others who work here could read its code and "
        "results: it speaks neither over private sockets nor encrypted."
    ).format(name=name)
