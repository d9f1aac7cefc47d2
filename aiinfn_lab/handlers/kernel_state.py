"""The variables of a running kernel: what of them a job can take over, and their copy for a submission."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiinfn_hub.contract.problem import Reason, Refusal
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.kernel_state import inventory, kernels, used_names
from aiinfn_lab.submission import kernel_state
from aiinfn_lab.submission.inspection import Inspection
from aiinfn_lab.submission.kernel_state import FromHere

from .base import protected
from .files import FileHandler


class KernelStateHandler(FileHandler):
    """Takes stock of a kernel's variables."""

    @protected
    async def post(self) -> None:
        """Answer what would be carried for ``{path, kernel, cell}``; nothing is written."""
        body = self.body()
        if not isinstance(body, dict) or not body.keys() <= {"path", "kernel", "cell"}:
            raise Refusal(Reason.INVALID, _("The request must have a path, a kernel and a cell."))
        subject = await self.examine({"path": body.get("path")})
        document, inspection = subject.document, subject.inspection
        wanted = kernel_state.read(
            {"from_here": {"kernel": body.get("kernel"), "cell": body.get("cell")}}, document, inspection
        )
        assert wanted is not None  # noqa: S101 - it was given
        needed = await asyncio.to_thread(used_names.read, wanted.code)
        found = await kernels.look(
            self.kernel_manager, wanted.kernel, sorted(needed.names), inspection.language
        )
        limit, home = self.services.largest_state, self.places.home
        self.answer(await asyncio.to_thread(inventory.describe, wanted, needed, found, limit, home))


async def save(handler: FileHandler, wanted: FromHere, inspection: Inspection, path: Path) -> None:
    """Have the kernel write its variables beside the job's copy of the notebook, unless that was done before.

    Raises
    ------
    Refusal
        If they cannot be written; there is no file then.
    """
    if await asyncio.to_thread(path.exists):
        return
    answer: dict[str, Any] = await kernels.save(
        handler.kernel_manager,
        wanted.kernel,
        str(path),
        wanted.leave_out,
        handler.services.largest_state,
        inspection.language,
    )
    handler.log.info(
        "aiinfn-lab: %d variables of a kernel were written, %d bytes", len(answer["carried"]), answer["size"]
    )
