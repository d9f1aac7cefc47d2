"""What the handlers of the server extension share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .cleanup.collector import HomeGarbageCollector
from .paths import Places
from .session.end import HubClient
from .session.environment import Session
from .vkd_client import Vkd

SETTING: Final = "aiinfn_lab_services"
"""Name in the settings of the server's application."""


@dataclass(frozen=True)
class LabServices:
    """Made once by the extension, and read by each request.

    Attributes
    ----------
    vkd, hub
        The one client of each.
    session
        What the hub granted this session.
    places
        The server's root and the home.
    largest_input, largest_state
        In bytes.
    most_followed
        Logs that may be followed at once.
    know_end
        Takes what the hub said of the session's end, for pages that are opened from now on.
    """

    vkd: Vkd
    hub: HubClient
    session: Session
    places: Places
    tidy: HomeGarbageCollector
    largest_input: int
    largest_state: int
    most_followed: int
    know_end: Callable[[Any], None]
