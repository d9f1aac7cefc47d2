"""What a person should know before submitting: vkd's checks, and those of the file."""

from __future__ import annotations

import asyncio
from typing import Any

from aiinfn_hub.contract.problem import Refusal
from aiinfn_hub.contract.values import as_python
from aiinfn_lab.i18n.messages import Message
from aiinfn_lab.precheck.checks import PrecheckFinding
from aiinfn_lab.submission import job_request
from aiinfn_lab.submission.inspection import Inspection
from aiinfn_lab.submission.target import Target

from .base import problem, protected
from .files import FileHandler
from .jobs import own_fields


class CheckHandler(FileHandler):
    """Looks at what would be submitted, without submitting it."""

    @protected
    async def post(self) -> None:
        """Answer with vkd's dry run and all checks, also where a submission would be refused."""
        body = job_request.check_keys(self.body())
        target = await self.examine(body)
        inspection = target.inspection
        request, misread = self._read(body, target)
        subject = await self.subject(body, target, request)
        refusal: Refusal | None = None
        if not subject.other_image:
            refusal = job_request.check_kernel(inspection, available=subject.kernel is not None)
        (answer, refused), found = await asyncio.gather(
            self._dry_run(inspection, request, misread), self.look(subject)
        )
        refusal = refusal or refused
        self.answer(
            {
                "sentence": "" if refusal else answer["sentence"],
                "ahead": None if refusal else answer["ahead"],
                "problem": problem(refusal) if refusal else None,
                "checks": [*answer["checks"], *(each.as_json() for each in found)],
                "values": {name: as_python(value) for name, value in subject.values.items()},
            }
        )

    def _read(self, body: dict[str, Any], target: Target) -> tuple[dict[str, Any] | None, Refusal | None]:
        """Make vkd's request, or say why there is none."""
        try:
            return job_request.build(body, target, self.services.session, ""), None
        except Refusal as refusal:
            return None, refusal

    async def _dry_run(
        self, inspection: Inspection, request: dict[str, Any] | None, misread: Refusal | None
    ) -> tuple[dict[str, Any], Refusal | None]:
        """Ask vkd; a refusal is an answer too."""
        if inspection.kind == "notebook" and inspection.kernel is None:
            # It would say only what the check of the kernel says.
            return {"checks": []}, None
        try:
            if misread is not None:
                raise misread
            with own_fields():
                answer = await self.vkd.request("POST", "jobs", query=[("dry_run", "1")], body=request)
            return {"checks": [], **answer.json()}, None
        except Refusal as refusal:
            check = PrecheckFinding(
                "allowed", "problem", Message("text", text=refusal.message), refusal.hint, refusal.field
            )
            return {"checks": [check.as_json()]}, refusal
