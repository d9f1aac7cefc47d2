"""A session's claim on devices, held at vkd."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sessions import Claim, ClaimRequest, ClaimState
from aiinfn_hub.i18n.language import Sentence, Text
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.selection import Selection
from aiinfn_hub.spawner.profiles import spoken
from aiinfn_hub.vkd.client import VkdClient, VkdUnavailableError

POLL: Final = 0.3
"""Seconds between two looks at a claim that waits."""
PATIENCE: Final = 15.0
"""Seconds that vkd may be away while a session waits, e.g. because it is being restarted."""

_releases: dict[str, asyncio.Task[None]] = {}
"""Releases that vkd has not taken yet, by session."""


async def obtain(
    vkd: VkdClient,
    session: str,
    request: ClaimRequest,
    selection: Selection,
    patience: timedelta,
    tell: Callable[[Text], None],
) -> Claim:
    """Wait until a session has its devices.

    Parameters
    ----------
    patience
        How long to wait for devices that are in use.
    tell
        Called with a sentence whenever what is waited for changes.

    Raises
    ------
    Refusal
        `Reason.UNAVAILABLE` if vkd does not answer, `Reason.CAPACITY` if nothing became free in time, or what vkd
        refuses with. The claim is then given back; so it is when this is cancelled.
    """
    if pending := _releases.pop(session, None):
        pending.cancel()
    try:
        # What an earlier start left there, e.g. because the hub was killed while it waited, is not this session's.
        await vkd.release(session)
        claim = await vkd.claim(session, request)
        async with asyncio.timeout(patience.total_seconds()):
            return await _until_granted(vkd, session, request, claim, tell)
    except BaseException as error:
        # Whatever went wrong, also an answer that was lost or a start that was cancelled: nothing stays claimed.
        release(vkd, session)
        if isinstance(error, VkdUnavailableError):
            logging.getLogger(__name__).warning("No devices for %s: %s", session, error)
            raise _unavailable() from error
        if isinstance(error, TimeoutError):
            raise nothing_free(selection, patience) from None
        raise


async def _until_granted(
    vkd: VkdClient,
    session: str,
    request: ClaimRequest,
    claim: Claim,
    tell: Callable[[Text], None],
) -> Claim:
    loop = asyncio.get_running_loop()
    answered = loop.time()
    while claim.state is not ClaimState.GRANTED:
        tell(claim.sentence)
        await asyncio.sleep(POLL)
        try:
            # None: vkd came back without the claim. Asking again costs the place in line, not the session.
            claim = await vkd.claim_state(session) or await vkd.claim(session, request)
            answered = loop.time()
        except VkdUnavailableError:
            if loop.time() - answered > PATIENCE:
                raise
            tell(Sentence("Waiting for the delegation service to come back"))
    return claim


async def head_start(vkd: VkdClient, session: str, request: ClaimRequest, seconds: float) -> Claim | None:
    """Tell vkd that a session is about to ask the cluster for devices, so that jobs are preempted through Kueue.

    Returns None after ``seconds``, or if vkd does not answer or refuses: a session never fails for it, as the cluster makes
    room by itself.
    """
    if pending := _releases.pop(session, None):
        pending.cancel()
    try:
        async with asyncio.timeout(seconds):
            return await vkd.claim(session, request)
    except (VkdUnavailableError, Refusal, TimeoutError) as error:
        logging.getLogger(__name__).info("No head start for %s: %s", session, error or "vkd is too slow")
        return None


def request_of(selection: Selection, until: datetime) -> ClaimRequest:
    """Make the claim of a session."""
    return ClaimRequest(
        owner=selection.person,
        project=selection.project,
        accelerator=selection.accelerator_name,
        count=selection.count,
        until=until,
    )


def release(vkd: VkdClient, session: str) -> None:
    """Give a session's devices back, in the background and again until vkd takes it.

    Returns at once: a stop must not hang on vkd, which besides notices by itself that the session's process ended.
    """
    if session not in _releases:
        task = asyncio.create_task(_release(vkd, session))
        _releases[session] = task
        task.add_done_callback(
            lambda done: _releases.pop(session) if _releases.get(session) is done else None
        )


async def _release(vkd: VkdClient, session: str) -> None:
    for delay in (0.5, 1, 2, 4, 8, 15, 30, 60, 60, 60):
        with contextlib.suppress(VkdUnavailableError):
            try:
                await vkd.release(session)
            except Refusal as refusal:
                logging.getLogger(__name__).warning(
                    "The devices of %s were not released: %s", session, refusal
                )
            return
        await asyncio.sleep(delay)


def _unavailable() -> Refusal:
    return Refusal(
        Reason.UNAVAILABLE,
        _("Accelerators cannot be handed out now because the delegation service does not answer."),
        _("Start a CPU session or try again in a minute."),
        field="accelerator",
    )


def nothing_free(selection: Selection, patience: timedelta) -> Refusal:
    """Refuse a session that waited in vain."""
    title = selection.accelerator.title if selection.accelerator else _("accelerator")
    return Refusal(
        Reason.CAPACITY,
        _("No {title} became free within {time}.").format(title=title, time=spoken(patience)),
        _("Try again later, choose another accelerator, or start a CPU session."),
        field="accelerator",
    )
