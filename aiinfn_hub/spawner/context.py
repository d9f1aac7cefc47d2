"""What all spawners of one hub share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from aiinfn_hub.host.accounts import Accounts
from aiinfn_hub.platform.loading.reload import PlatformFile
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.vkd.client import VkdClient

from .session_usage import SessionUsage

TEMPLATES: Final = Path(__file__).parent.parent / "templates"
"""For ``JupyterHub.template_paths``: the pages that belong to the form."""


@dataclass(frozen=True)
class SpawnContext:
    """The platform and the services that every spawner needs, given to them as ``c.LocalSpawner.context``.

    Attributes
    ----------
    file
        The platform file, which may change.
    accounts
        None where sessions do not run on this machine.
    vkd
        The hub's client of vkd.
    vkd_url
        Where a *session* reaches vkd; it gets it as ``AIINFN_VKD_URL``.
    ticket_key
        Signs what the form may ask vkd for; empty draws a form that does not refresh itself.
    held
        What sessions hold now, for limits on what may be held at once.
    """

    file: PlatformFile
    vkd: VkdClient
    vkd_url: str
    accounts: Accounts | None = None
    ticket_key: str = ""
    held: SessionUsage = field(default_factory=SessionUsage)

    @property
    def platform(self) -> Platform:
        """The platform in force. Take it once for each start and each page."""
        return self.file.current

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Stay one object: traitlets copies configured values for each spawner, and there is one per server."""
        return self
