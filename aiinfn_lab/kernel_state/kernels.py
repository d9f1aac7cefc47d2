"""Asks a running kernel of this server.

The server does it, and not the page: the page may be closed or lose its connection while gigabytes are written, a file in the
home is none of its business, and the request waits neither behind its cells nor appears among their outputs.
"""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from weakref import WeakValueDictionary

from jupyter_client.session import Session
from jupyter_core.utils import ensure_async

from aiinfn_hub.platform.refusal import Reason, Refusal

from . import asking

LOOK_SECONDS: Final = 10.0
"""How long taking stock may take; it is usually done in a tenth of a second."""
_LOOK_AT_MOST: Final = 30.0
_SAVE_AT_MOST: Final = 1800.0
_TICK: Final = 1.0
_WAIT: Final = "Wait until the running cell is over, or interrupt it, then try again."
_asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


async def look(manager: Any, kernel: object, needed: list[str], language: str) -> dict[str, Any]:
    """Have a kernel take stock of its variables; see `inside.stock.look`.

    Raises
    ------
    Refusal
        If there is no such kernel, it is busy, ends meanwhile, or is none that can be asked.
    """
    request = {"do": "look", "needed": needed, "seconds": LOOK_SECONDS}
    return await _ask(manager, kernel, request, language, _LOOK_AT_MOST)


async def save(
    manager: Any, kernel: object, path: str, leave_out: list[str], limit: int, language: str
) -> dict[str, Any]:
    """Have a kernel write its variables to a file; see `inside.state.save`.

    Raises
    ------
    Refusal
        As `look`, or because there is no room, or the file would be larger than the limit in bytes.
    """
    request = {"do": "save", "path": path, "leave_out": leave_out, "limit": limit}
    return await _ask(manager, kernel, request, language, _SAVE_AT_MOST)


async def _ask(
    manager: Any, kernel: object, request: dict[str, Any], language: str, seconds: float
) -> dict[str, Any]:
    if not isinstance(kernel, str) or kernel not in manager:
        raise _refuse(
            Reason.NOT_FOUND,
            "The notebook has no running kernel.",
            "Start it and run the cells that come before, or submit the whole notebook.",
        )
    if language not in {"python", ""}:
        raise _refuse(
            Reason.INVALID,
            "Only a Python kernel's variables can be carried to a job.",
            "Submit the whole notebook.",
        )
    lock = _asking.setdefault(kernel, asyncio.Lock())
    async with lock:
        if getattr(manager.get_kernel(kernel), "execution_state", "idle") == "busy":
            raise _refuse(Reason.CONFLICT, "The kernel is busy.", _WAIT)
        async with _channel(manager.get_kernel(kernel)) as client:
            answer = asking.answer(await _reply(manager, kernel, client, request, seconds))
    if problem := answer.get("problem"):
        raise _explain(problem, answer, request)
    return answer


@asynccontextmanager
async def _channel(kernel: Any) -> AsyncIterator[Any]:
    # A session of its own: two sockets of one name would push each other out.
    session = Session(key=kernel.session.key, signature_scheme=kernel.session.signature_scheme)
    client = kernel.client(session=session)
    client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)  # noqa: S604 - a channel
    try:
        yield client
    finally:
        client.stop_channels()


async def _reply(
    manager: Any, kernel: str, client: Any, request: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Give the content of the kernel's reply."""
    number = client.execute(
        "",
        silent=True,
        store_history=False,
        user_expressions=await asyncio.to_thread(asking.expressions, request),
        allow_stdin=False,
    )
    deadline = time.monotonic() + seconds
    while True:
        try:
            reply = await ensure_async(client.get_shell_msg(timeout=_TICK))
        except queue.Empty:
            if kernel not in manager or not await ensure_async(manager.is_alive(kernel)):
                raise _refuse(
                    Reason.CONFLICT,
                    "The kernel has ended, and its variables with it.",
                    "Start it again, run the cells that come before, then try again.",
                ) from None
            if time.monotonic() > deadline:
                await ensure_async(manager.interrupt_kernel(kernel))
                raise _refuse(Reason.CONFLICT, "The kernel gave no answer in time.", _WAIT) from None
            continue
        if reply["parent_header"].get("msg_id") == number:
            return dict(reply["content"])


def _explain(problem: str, answer: dict[str, Any], request: dict[str, Any]) -> Refusal:
    """Say what the kernel answered, in words."""
    if problem == "too_large":
        return _refuse(
            Reason.TOO_LARGE,
            "The variables are larger than a job may carry, or than there is room in your home.",
            "Leave out large ones that the cells from here on do not need.",
        )
    if problem == "other_kernel":
        return _refuse(
            Reason.INVALID,
            "This kernel cannot be asked for its variables: it is not IPython's own.",
            "Submit the whole notebook.",
        )
    if problem == "interrupted":
        return _refuse(Reason.CONFLICT, "The kernel was interrupted before it had answered.", "Try again.")
    what = "written" if request["do"] == "save" else "looked at"
    return _refuse(
        Reason.UNAVAILABLE,
        f"The variables could not be {what}: {str(answer.get('message', problem))[:500]}.",
        "Try again, or submit the whole notebook.",
    )


def _refuse(reason: Reason, message: str, hint: str) -> Refusal:
    return Refusal(reason, message, hint, field="from_here")
