"""Sessions where the batch system owns no devices that they could be given."""

from __future__ import annotations

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.contract.sessions import Claim, ClaimRequest
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.platform.model.platform import Platform

from .session_claims import requested_accelerator


class NoSessionDevices:
    """Refuses every claim of a session. See `aiinfn_hub.vkd.domain.backend.DeviceBroker`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def adopt(self, platform: Platform) -> None:
        """Load a changed platform file."""
        self._platform = platform

    async def stop(self) -> None:
        """Do nothing: nothing is held."""

    async def claim(self, session_id: str, request: ClaimRequest) -> Claim:
        """Refuse a session's claim.

        Raises
        ------
        Refusal
            Always.
        """
        title = requested_accelerator(self._platform, request).title
        raise Refusal(
            Reason.IMPOSSIBLE,
            _("Sessions cannot have a {title} here: the batch system gives devices to jobs only.").format(
                title=title
            ),
            _("Start a CPU session, and submit what needs the device as a job."),
            field="accelerator",
        )

    async def claim_state(self, session_id: str) -> Claim | None:
        """Return None: no claim was ever granted."""
        return None

    async def release(self, session_id: str) -> None:
        """Do nothing: nothing is held."""
