"""Claims of sessions: grant devices to sessions before any job, and report how far each claim is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sessions import Claim, ClaimRequest, ClaimState
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.model.accelerators import Accelerator
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.backends.common.attempt_files import LocalFiles
from aiinfn_hub.vkd.backends.common.exit_outcome import plural
from aiinfn_hub.vkd.backends.common.session_claims import making_room, requested_accelerator, waiting

from .claim_store import ClaimRecord, ClaimStore, decide
from .dispatcher import Dispatcher
from .environment import device_environment
from .ledger import DeviceTakenError, HolderKind, Ledger

_log = logging.getLogger(__name__)
_SPARE: Final = timedelta(seconds=60)
"""How much longer than a session's start may take its claim lives without a process."""


class SessionClaims:
    """The sessions that hold or want devices."""

    def __init__(
        self,
        platform: Platform,
        files: LocalFiles,
        clock: Callable[[], datetime],
        ledger: Ledger,
        dispatcher: Dispatcher,
    ) -> None:
        self._last: dict[str, Accelerator] = {}
        self.adopt(platform)
        self._clock = clock
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._book = ClaimStore(files)

    def adopt(self, platform: Platform) -> None:
        """Load a changed platform file; who has devices keeps them."""
        self._platform = platform
        # Also what the file does not have any more: a session may hold it.
        self._last |= platform.accelerators
        self._patience = (platform.limits.session_start + _SPARE).total_seconds()

    def load(self) -> None:
        """Take up the claims of before a restart; those whose session ended meanwhile are dropped. Blocks."""
        self._book.load()
        self.drop_ended()
        for claim in self._book:
            try:
                self._ledger.adopt(
                    _holder(claim.id), HolderKind.SESSION, claim.request.accelerator, claim.devices
                )
            except DeviceTakenError as taken:
                _log.error("The claim of session %s is dropped: %s is another's", claim.id, taken)
                self._book.drop(claim.id)

    def ask(self, session_id: str, request: ClaimRequest) -> None:
        """Write down a claim or news of one.

        Raises
        ------
        Refusal
            If there are fewer such devices in all than asked for.
        """
        accelerator = requested_accelerator(self._platform, request)
        known = self._book.get(session_id)
        same = known is not None and _what(known.request) == _what(request)
        if not same:
            counts = self._ledger.counts(request.accelerator)
            usable = counts.total - counts.offline
            if request.count > usable:
                wanted = plural(request.count, accelerator.title)
                raise Refusal(
                    Reason.CAPACITY,
                    (
                        _("{devices} cannot be had: {usable} of {total} can be used now.")
                        if usable
                        else _("{devices} cannot be had: none of {total} can be used now.")
                    ).format(devices=wanted, usable=usable, total=counts.total),
                    _("Choose another accelerator or fewer of it, or start without one."),
                    field="accelerator",
                )
            if known is not None:
                self.release(session_id)
        self._book.ask(session_id, request, self._clock())

    def settle(self) -> set[str]:
        """Grant what can be granted and have jobs make room for the rest.

        Returns
        -------
        set of str
            The accelerators for which sessions still wait, so that no job may take what becomes free.
        """
        wanted = {claim.request.accelerator for claim in self._book if not claim.granted}
        return {name for name in sorted(wanted) if self._settle(name)}

    def _settle(self, name: str) -> bool:
        decision = decide(
            self._book.waiting(name),
            len(self._ledger.free(name)),
            self._dispatcher.stopping(name),
            self._dispatcher.victims(name),
        )
        for session_id in decision.grant:
            claim = self._book.get(session_id)
            if claim is not None:
                devices = self._ledger.hold(
                    _holder(session_id), HolderKind.SESSION, name, claim.request.count
                )
                self._book.grant(session_id, devices or ())
        for session_id, state in decision.states:
            self._book.set_state(session_id, state)
        for job_id in decision.evict:
            self._dispatcher.preempt(job_id)
        return bool(decision.states)

    def release(self, session_id: str) -> None:
        """Take a session's devices back."""
        self._book.drop(session_id)
        self._ledger.release(_holder(session_id))

    def drop_ended(self) -> bool:
        """Release the claims of sessions that are gone or never came; return whether there were any."""
        ended = self._book.expired(self._clock(), self._patience)
        for session_id in ended:
            _log.info("Session %s is gone; its devices are free", session_id)
            self.release(session_id)
        return bool(ended)

    def waiting(self, name: str) -> int:
        """Count the sessions that wait for an accelerator."""
        return len(self._book.waiting(name))

    def next_end(self, name: str) -> datetime | None:
        """Return the latest moment at which the first session on an accelerator ends."""
        return self._book.next_end(name)

    def view(self, session_id: str) -> Claim | None:
        """Show a claim, or None if there is none."""
        claim = self._book.get(session_id)
        if claim is None:
            return None
        name = claim.request.accelerator
        accelerator = self._last.get(name)
        title = accelerator.title if accelerator else name
        position = None
        if not claim.granted:
            position = [other.id for other in self._book.waiting(name)].index(session_id) + 1
        return Claim(
            id=session_id,
            state=claim.state,
            sentence=self._sentence(claim, title),
            devices=list(claim.devices),
            environment=device_environment(accelerator, claim.devices) if claim.granted else {},
            position=position,
        )

    def _sentence(self, claim: ClaimRecord, title: str) -> str:
        wanted = plural(claim.request.count, title)
        if claim.granted:
            return _("Has its {devices}.").format(devices=wanted)
        if claim.state is ClaimState.MAKING_ROOM:
            seconds = self._platform.limits.grace.total_seconds()
            return making_room(title, seconds)
        return waiting(wanted, self.next_end(claim.request.accelerator))


def _what(request: ClaimRequest) -> tuple[str, str, str, int]:
    return request.owner, request.project, request.accelerator, request.count


def _holder(session_id: str) -> str:
    return f"session:{session_id}"
