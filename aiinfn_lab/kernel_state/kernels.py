"""Asks a running kernel of this server.

The server does it, and not the page: the page may be closed or lose its connection while gigabytes are written, a file in the
home is none of its business, and the request waits neither behind its cells nor appears among their outputs.
"""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from weakref import WeakValueDictionary

from jupyter_client.session import Session
from jupyter_core.utils import ensure_async

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.language import marked

from . import asking

LOOK_SECONDS: Final = 10.0
"""How long taking stock may take; it is usually done in a tenth of a second."""
_LOOK_AT_MOST: Final = 30.0
_SAVE_AT_MOST: Final = 1800.0
_QUEUED: Final = 10.0
"""How long a kernel that is idle may take to begin; a cell may have been started in the moment before."""
_NEWS: Final = 0.5
"""How long the news that a cell is over may be on its way to the server."""
_DELIVERY: Final = 2.0
"""What it may take to hear that it has begun."""
_MARGIN: Final = 15.0
"""What a kernel may need beyond the time at which it interrupts its request itself."""
_TICK: Final = 0.5
_WAIT: Final = marked("Wait until the running cell is over, or interrupt it, then try again.")
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
            _("The notebook has no running kernel."),
            _("Start it and run the cells that come before, or submit the whole notebook."),
        )
    if language not in {"python", ""}:
        raise _refuse(
            Reason.INVALID,
            _("Only a Python kernel's variables can be carried to a job."),
            _("Submit the whole notebook."),
        )
    lock = _asking.setdefault(kernel, asyncio.Lock())
    async with lock:
        await _idle(manager, kernel)
        async with _channels(manager.get_kernel(kernel)) as client:
            answer = asking.answer(await _reply(manager, kernel, client, request, seconds))
    if problem := answer.get("problem"):
        raise _explain(problem, answer, request)
    return answer


async def _idle(manager: Any, kernel: str) -> None:
    """Refuse for a kernel that the server knows to be busy."""
    latest = time.monotonic() + _NEWS
    while getattr(manager.get_kernel(kernel), "execution_state", "idle") == "busy":
        if time.monotonic() > latest:
            raise _busy()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _channels(kernel: Any) -> AsyncIterator[Any]:
    # A session of its own: two sockets of one name would push each other out.
    session = Session(key=kernel.session.key, signature_scheme=kernel.session.signature_scheme)
    client = kernel.client(session=session)
    client.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=True)  # noqa: S604 - a channel
    try:
        yield client
    finally:
        client.stop_channels()


async def _reply(
    manager: Any, kernel: str, client: Any, request: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Return the content of the kernel's reply.

    The kernel is never interrupted from here, where nobody can be sure that it is not the person's own cell that would be hit:
    a request that has not begun in time is void, and one that takes too long is ended by itself; see `kernel_side.limit`.
    """
    heard = await _subscribed(client)
    limited = {**request, "until": time.time() + _QUEUED, "parallelism": seconds}
    number = client.execute(
        "",
        silent=True,
        store_history=False,
        user_expressions=await asyncio.to_thread(asking.expressions, limited),
        allow_stdin=False,
    )
    asked = time.monotonic()
    begun = asyncio.ensure_future(_begun(client, number))
    try:
        while True:
            try:
                reply = await ensure_async(client.get_shell_msg(timeout=_TICK))
            except queue.Empty:
                if kernel not in manager or not await ensure_async(manager.is_alive(kernel)):
                    raise _refuse(
                        Reason.CONFLICT,
                        _("The kernel has ended, and its variables with it."),
                        _("Start it again, run the cells that come before, then try again."),
                    ) from None
                if begun.done():
                    latest = begun.result() + seconds + _MARGIN
                elif heard:
                    latest = asked + _QUEUED + _DELIVERY
                else:
                    latest = asked + _QUEUED + seconds + _MARGIN
                if time.monotonic() > latest:
                    raise (_too_slow() if begun.done() or not heard else _busy()) from None
                continue
            if reply["parent_header"].get("msg_id") == number:
                return dict(reply["content"])
    finally:
        begun.cancel()
        await asyncio.gather(begun, return_exceptions=True)


async def _subscribed(client: Any) -> bool:
    """Return whether what the kernel tells of itself is heard; its control channel answers while a cell runs."""
    for _attempt in range(20):
        client.control_channel.send(client.session.msg("kernel_info_request", {}))
        with suppress(queue.Empty):
            await ensure_async(client.get_iopub_msg(timeout=0.1))
            return True
    return False


async def _begun(client: Any, number: str) -> float:
    """Wait until the kernel tells that it has begun with a request, and return when that was."""
    while True:
        told = await ensure_async(client.get_iopub_msg(timeout=None))
        if (
            told["msg_type"] == "status"
            and told["parent_header"].get("msg_id") == number
            and told["content"].get("execution_state") == "busy"
        ):
            return time.monotonic()


def _busy() -> Refusal:
    return _refuse(Reason.CONFLICT, _("The kernel is busy."), _(_WAIT))


def _too_slow() -> Refusal:
    return _refuse(Reason.CONFLICT, _("The kernel gave no answer in time."), _(_WAIT))


def _explain(problem: str, answer: dict[str, Any], request: dict[str, Any]) -> Refusal:
    """Return what the kernel answered, in words."""
    if problem == "too_large":
        return _refuse(
            Reason.TOO_LARGE,
            _("The variables are larger than a job may carry, or than there is room in your home."),
            _("Leave out large ones that the cells from here on do not need."),
        )
    if problem == "other_kernel":
        return _refuse(
            Reason.INVALID,
            _("This kernel cannot be asked for its variables: it is not IPython's own."),
            _("Submit the whole notebook."),
        )
    if problem == "late":
        return _busy()
    if problem == "too_slow":
        return _too_slow()
    if problem == "interrupted":
        return _refuse(
            Reason.CONFLICT, _("The kernel was interrupted before it had answered."), _("Try again.")
        )
    said = str(answer.get("message", problem))[:500]
    return _refuse(
        Reason.UNAVAILABLE,
        (
            _("The variables could not be written: {error}.")
            if request["do"] == "save"
            else _("The variables could not be looked at: {error}.")
        ).format(error=said),
        _("Try again, or submit the whole notebook."),
    )


def _refuse(reason: Reason, message: str, hint: str) -> Refusal:
    return Refusal(reason, message, hint, field="from_here")
