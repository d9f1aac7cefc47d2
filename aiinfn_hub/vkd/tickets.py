"""Signed tickets with which the options form reads availability without a token of the hub.

The form is shown by the hub, before a session with its own token exists; a page of the hub must not get a token
either. A ticket names the accelerators that the form shows and opens nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_hub.i18n.language import gettext as _

SALT: Final = "availability"
LIFETIME: Final = 12 * 3600
"""Seconds that a ticket is valid: as long as somebody may leave a form open."""


def issue(key: str, accelerators: Iterable[str]) -> str:
    """Sign a ticket for some accelerators.

    Parameters
    ----------
    key
        ``AIINFN_TICKET_KEY``, known to the hub and to vkd.
    """
    return str(URLSafeTimedSerializer(key, salt=SALT).dumps(sorted(accelerators)))


def verify(key: str | None, ticket: str) -> frozenset[str]:
    """Return the accelerators that a ticket is for.

    Raises
    ------
    Refusal
        If the ticket is not one of ours, or too old.
    """
    if not key:
        raise Refusal(Reason.UNAUTHENTICATED, _("This vkd takes no tickets."), _("Set AIINFN_TICKET_KEY."))
    try:
        names = URLSafeTimedSerializer(key, salt=SALT).loads(ticket, max_age=LIFETIME)
    except SignatureExpired:
        raise Refusal(
            Reason.UNAUTHENTICATED, _("The form was open for too long."), _("Load the page again.")
        ) from None
    except BadData:
        raise Refusal(
            Reason.UNAUTHENTICATED, _("The ticket is not valid."), _("Load the page with the form again.")
        ) from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refusal(
            Reason.UNAUTHENTICATED, _("The ticket is not valid."), _("Load the page with the form again.")
        )
    return frozenset(names)
