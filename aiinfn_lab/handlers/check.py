"""What a person should know before submitting: vkd's checks, and those of the file."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from jupyter_core.utils import ensure_async

from aiinfn_hub.platform.refusal import Refusal
from aiinfn_lab import submission
from aiinfn_lab.inspection import Inspection
from aiinfn_lab.kernel_state import request as from_here
from aiinfn_lab.precheck.checks import Finding, Kernel, Subject, look
from aiinfn_lab.target import Target

from .base import problem, protected
from .files import FileHandler
from .jobs import own_fields

_AT_ONCE = 2
"""Files that are looked at at a time: each may take a thread and an interpreter for some seconds."""
_looking = asyncio.Semaphore(_AT_ONCE)


class CheckHandler(FileHandler):
    """Looks at what would be submitted, without submitting it."""

    @protected
    async def post(self) -> None:
        """Answer with vkd's dry run and all checks, also where a submission would be refused."""
        body = submission.check_keys(self.body())
        target = await self.examine(body)
        inspection = target.inspection
        kernel = await self._kernel(inspection)
        if (wanted := from_here.read(body, target.document, inspection)) is not None:
            # What ran in the session does not run in the job.
            inspection = replace(inspection, code=wanted.code)
            target = replace(target, inspection=inspection)
        subject = Subject.of(body, target, self.places.home, self.extension.session, kernel)
        refusal: Refusal | None = None
        if not subject.other_image:
            refusal = submission.check_kernel(inspection, available=kernel is not None)
        (answer, refused), found = await asyncio.gather(self._dry_run(body, target), self._look(subject))
        refusal = refusal or refused
        self.answer(
            {
                "sentence": "" if refusal else answer["sentence"],
                "ahead": None if refusal else answer["ahead"],
                "problem": problem(refusal) if refusal else None,
                "checks": [*answer["checks"], *(each.as_json() for each in found)],
            }
        )

    async def _dry_run(self, body: dict[str, Any], target: Target) -> tuple[dict[str, Any], Refusal | None]:
        """Ask vkd; a refusal is an answer too."""
        inspection = target.inspection
        if inspection.kind == "notebook" and inspection.kernel is None:
            # It would say only what the check of the kernel says.
            return {"checks": []}, None
        try:
            request = submission.build(body, target, self.extension.session, "")
            with own_fields():
                answer = await self.vkd.request("POST", "jobs", query=[("dry_run", "1")], body=request)
            return {"checks": [], **answer.json()}, None
        except Refusal as refusal:
            check = Finding("allowed", "problem", refusal.message, refusal.hint, refusal.field)
            return {"checks": [check.as_json()]}, refusal

    async def _look(self, subject: Subject) -> list[Finding]:
        async with _looking:
            return await asyncio.to_thread(look, subject)

    async def _kernel(self, inspection: Inspection) -> Kernel | None:
        """Find the notebook's kernel; see `FileHandler.kernel`."""
        if inspection.kernel is None:
            return None
        try:
            spec = await ensure_async(
                await asyncio.to_thread(self.kernel_spec_manager.get_kernel_spec, inspection.kernel)
            )
        except (KeyError, OSError, ValueError):
            return None
        return await asyncio.to_thread(Kernel.of, spec)
