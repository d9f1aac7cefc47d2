"""What is done to a kernel's manager before it starts the kernel."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any, Final

from jupyter_client.kernelspec import NoSuchKernel

from .transport import Transport, make_private, private_transports, refusal, required, wanted

START: Final = str(Path(__file__).with_name("start.py"))
_PYTHON: Final = re.compile(r"python(3(\.\d+)?)?")
_IPYKERNEL: Final = frozenset({"ipykernel", "ipykernel_launcher"})


def safe_command(argv: Sequence[str], *, debugger: bool = True) -> list[str]:
    """Return a kernel's command with our own start in place of ``-m``; any other command stays as it is.

    Parameters
    ----------
    debugger
        False takes the debugger out of an ipykernel.
    """
    command = list(argv)
    if not command or not _PYTHON.fullmatch(PurePath(command[0]).name) or "-m" not in command[:-1]:
        return command
    place = command.index("-m")
    if any(not word.startswith("-") for word in command[1:place]):
        return command  # this -m belongs to a script
    module = command[place + 1]
    without = [] if debugger or module not in _IPYKERNEL else ["--no-debugger"]
    return [*command[:place], START, *without, *command[place + 1 :]]


class NotPrivateError(NoSuchKernel):
    """A kernel is there, but everybody on the machine could listen to it; the message says so."""

    def __init__(self, name: str, title: str) -> None:
        super().__init__(name)
        self.title = title

    def __str__(self) -> str:
        return refusal(self.title)


def prepare(manager: Any, folder: Callable[[], Path], *, prefer: Transport = Transport.IPC) -> None:
    """Make a kernel private where that is wanted, and its start safe.

    Parameters
    ----------
    manager
        A kernel manager of `jupyter_client` that has not started its kernel.
    folder
        Returns a folder of mode 0700 for sockets; called if one is needed.
    prefer
        What is taken where the kernel knows both.

    Raises
    ------
    NotPrivateError
        If the kernel must be private and cannot.
    NoSuchKernel
        If there is none.
    """
    spec = manager.kernel_spec
    if wanted():
        known = private_transports(spec.argv, spec.metadata)
        if not known and required():
            raise NotPrivateError(manager.kernel_name, str(spec.display_name or manager.kernel_name))
        if known:
            make_private(manager, prefer if prefer in known else known[0], folder)
    spec.argv = safe_command(spec.argv, debugger=not required())
