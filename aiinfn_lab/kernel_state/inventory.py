"""What a kernel said of its variables, and what the remaining cells need, as an answer to the page."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from aiinfn_hub.contract.templates import NOTHING
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.i18n.messages import Message
from aiinfn_lab.submission.kernel_state import FromHere

from .used_names import Needs

_LARGE: Final = 100 * 10**6
"""Bytes from which on a variable that no cell seems to need is left out unless the person wants it."""


def describe(wanted: FromHere, needs: Needs, found: dict[str, Any], limit: int, home: Path) -> dict[str, Any]:
    """Make the answer; docs/lab-api.md describes it. Blocks a little."""
    variables = found["variables"]
    owners = Counter(key for each in variables for key, _size in each["buffers"])
    shared = {key: number for number, key in enumerate(key for key, count in owners.items() if count > 1)}
    return {
        "cell": wanted.cell,
        "cells": wanted.cells,
        "code_cells": len(wanted.code),
        "variables": [_variable(each, shared) for each in variables],
        "modules": found["modules"],
        "python": found["python"],
        "limit": limit,
        "free": _free(home),
        "notes": list(_notes(needs, found)),
    }


def _variable(found: dict[str, Any], shared: dict[str, int]) -> dict[str, Any]:
    why = Message.read(found["why"]) if "why" in found else Message(NOTHING)
    large = (found["size"] or 0) >= _LARGE
    return {
        "name": found["name"],
        "type": found["type"],
        "size": found["size"],
        "shared": [[shared[key], size] for key, size in found["buffers"] if key in shared],
        "code": found["code"],
        "used": found["used"],
        "reason": str(why),
        "reason_code": why.code if why else "",
        "reason_facts": why.plain_facts(),
        "carried": not why and (found["used"] or not large),
        "unsure": found.get("unsure", False),
        "gpu": found.get("gpu", False),
    }


def _notes(needs: Needs, found: dict[str, Any]) -> Iterable[dict[str, Any]]:
    missing = [each["name"] for each in found["variables"] if each["used"] and each.get("reason")]
    if missing:
        yield _note(
            "problem",
            Message("state.needed_not_carried", names=missing),
            _("Make it again in one of these cells, or begin with an earlier cell that does."),
        )
    known = {each["name"] for each in found["variables"]} | set(found["modules"])
    if history := [name for name in needs.history if name not in known]:
        yield _note(
            "problem",
            Message("state.history", names=history),
            _("Give the value a name in the session, and use that."),
        )
    if any(each.get("unsure") for each in found["variables"]):
        yield _note(
            "notice",
            Message("state.unsure"),
            _("They are carried if they can be; the job's log names those that were not."),
        )
    if any(each.get("gpu") for each in found["variables"]):
        yield _note("notice", Message("state.gpu"))
    if needs.dynamic:
        yield _note("notice", Message("state.dynamic"), _("Keep large variables that they may need."))


def _note(verdict: str, message: Message, hint: str = "") -> dict[str, Any]:
    return {
        "verdict": verdict,
        "sentence": str(message),
        "hint": hint,
        "code": message.code,
        "facts": message.plain_facts(),
    }


def _free(home: Path) -> int | None:
    try:
        return shutil.disk_usage(home).free
    except OSError:
        return None
