"""End a vkd whose hub was killed: it would hold its port, and the next hub could not start its own."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

logger = logging.getLogger(__name__)

_MODULE: Final = "aiinfn_hub.vkd"
_PATIENCE: Final = 15.0
"""Seconds for vkd to write down what it knows and leave."""


def end_orphaned_vkd(data: Path) -> int:
    """End what earlier hubs left running on a data folder, and give their number.

    A vkd whose parent is a hub belongs to that one and stays. Jobs stay too: they outlive vkd by design.
    """
    orphans = list(_orphans(data))
    for process in orphans:
        logger.warning("Ending a vkd (process %d) that an earlier hub left behind", process.pid)
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(orphans, timeout=_PATIENCE)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_PATIENCE)
    return len(orphans)


def _orphans(data: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        # Most processes are of others and cannot be looked into: they are none of ours.
        with contextlib.suppress(psutil.Error):
            if (
                process.uids().real == os.getuid()
                and process.cmdline()[-2:] == ["-m", _MODULE]
                and process.environ().get("AIINFN_DATA") == str(data)
                and not _is_hub(process.parent())
            ):
                yield process


def _is_hub(process: psutil.Process | None) -> bool:
    return process is not None and any("jupyterhub" in word for word in process.cmdline())
