"""Links to a choice: ``/hub/spawn?opt-accelerator=t4`` opens the form with it filled in, and starts nothing.

JupyterHub itself would start a session at once. A link can be sent to anybody and put on any page, so here it only
fills the form in; who opens it sees what they would get, and presses Start.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from aiinfn_hub.contract.units import format_duration
from aiinfn_hub.platform.gate import SESSION_KEYS
from aiinfn_hub.platform.selection import Selection

PREFIX: Final = "opt-"
ORDER: Final = ("accelerator", "count", "project", "image", "size", "time_limit")
"""The keys of a choice as they stand in a link."""


class DeepLinkOpenedError(Exception):
    """A link to a choice was opened: the form is to be drawn, and nothing is said of a failure."""

    jupyterhub_message = ""


class _NoFailure(logging.Filter):
    """Drop what JupyterHub logs of a link as a start that failed."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], DeepLinkOpenedError))


def log_no_failure(log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
    """Let a logger pass over links that were opened."""
    logger = log.logger if isinstance(log, logging.LoggerAdapter) else log
    if not any(isinstance(known, _NoFailure) for known in logger.filters):
        logger.addFilter(_NoFailure())


def choice_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keep of a link's options those that are a choice of a session; anything else in a link means nothing."""
    return {key: value for key, value in options.items() if key in SESSION_KEYS}


def query(choice: Mapping[str, str], keep: Mapping[str, str] | None = None) -> str:
    """Write a choice as the query of a link, after what the address holds otherwise."""
    said = {f"{PREFIX}{key}": choice[key] for key in ORDER if choice.get(key)}
    return f"?{urlencode({**(keep or {}), **said})}"


def choice_from(selection: Selection) -> dict[str, str]:
    """Return the choices that a granted session is asked for with."""
    return {
        "accelerator": selection.accelerator_name,
        "count": str(selection.count) if selection.count > 1 else "",
        "project": selection.project,
        "image": selection.image_name,
        "size": selection.size_name,
        "time_limit": format_duration(selection.time_limit),
    }
