"""What would be submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from typing import Any

from jupyter_core.utils import ensure_async

from aiinfn_hub.contract.problem import Refusal
from aiinfn_lab.paths import HomeDocument
from aiinfn_lab.precheck.checks import Kernel, PrecheckFinding, Subject, look
from aiinfn_lab.submission import (
    directives,
    folder,
    job_request,
    target,
)
from aiinfn_lab.submission import kernel_state as from_here
from aiinfn_lab.submission.inspection import Inspection
from aiinfn_lab.submission.target import Target

from .base import Handler, problem, protected

_AT_ONCE = 2
"""Files that are looked at at a time: each may take a thread and an interpreter for some seconds."""
_looking = asyncio.Semaphore(_AT_ONCE)


class FileHandler(Handler):
    """A handler that looks at a file of the person."""

    async def examine(self, body: Mapping[str, Any]) -> Target:
        """Read and inspect what a request is about, without holding up the server.

        Raises
        ------
        Refusal
            If it is nothing to submit.
        """
        return await asyncio.to_thread(target.find, self.places, body, self.services.largest_input)

    async def kernel(self, inspection: Inspection) -> tuple[str, bool]:
        """Title of a notebook's kernel, and whether it exists in this environment."""
        if inspection.kernel is None:
            return "", False
        try:
            # In a thread: some managers of kernel specs run `conda` for it.
            spec = await ensure_async(
                await asyncio.to_thread(self.kernel_spec_manager.get_kernel_spec, inspection.kernel)
            )
        except (KeyError, OSError, ValueError):
            # NoSuchKernel is a KeyError; a broken kernel.json gives one of the others.
            return inspection.kernel_title, False
        return str(spec.display_name), True

    async def look(self, subject: Subject) -> list[PrecheckFinding]:
        """Look at what would be submitted."""
        async with _looking:
            return await asyncio.to_thread(look, subject)

    async def subject(
        self, body: Mapping[str, Any], target: Target, request: Mapping[str, Any] | None
    ) -> Subject:
        """Collect what is to be looked at.

        Parameters
        ----------
        request
            What vkd would get; None if there is something wrong with the body.
        """
        wanted = from_here.read(body, target.document, target.inspection)
        if wanted is not None:
            # What ran in the session does not run in the job.
            target = replace(target, inspection=replace(target.inspection, code=wanted.code))
        asked = dict(body)
        if request is not None:
            # As it was read: values that were typed, points of a sweep.
            asked["parameters"] = request["work"].get("parameters")
            asked["sweep"] = request.get("sweep")
        kernel = await self._known_kernel(target.inspection)
        return Subject.of(asked, target, self.places.home, self.services.session, kernel)

    async def _known_kernel(self, inspection: Inspection) -> Kernel | None:
        """Find the notebook's kernel; see `kernel`."""
        if inspection.kernel is None:
            return None
        try:
            spec = await ensure_async(
                await asyncio.to_thread(self.kernel_spec_manager.get_kernel_spec, inspection.kernel)
            )
        except (KeyError, OSError, ValueError):
            return None
        return await asyncio.to_thread(Kernel.of, spec)


class InspectHandler(FileHandler):
    """Looks at a file without submitting it."""

    @protected
    async def get(self) -> None:
        """Answer kind, kernel and parameters of ``?path=``."""
        subject = await self.examine({"path": self.get_query_argument("path", None, strip=False)})
        document, found = subject.document, subject.inspection
        title, available = await self.kernel(found)
        refusal = job_request.check_kernel(found, available=available)
        kernel: dict[str, Any] | None = None
        if found.kernel is not None:
            kernel = {"name": found.kernel, "title": title, "available": available}
        header, misread = await asyncio.to_thread(_header, document)
        self.answer(
            {
                "path": document.path,
                "name": document.name,
                "kind": found.kind,
                "size": len(document.data),
                "modified": document.modified.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "language": found.language,
                "kernel": kernel,
                "cells": found.cells,
                "code_cells": found.code_cells,
                "parameters": [parameter.as_json() for parameter in found.parameters],
                "parameters_note": found.note,
                "header": header,
                "header_problem": problem(misread) if misread else None,
                "problem": problem(refusal) if refusal else None,
            }
        )


class FolderHandler(Handler):
    """Looks at a folder without submitting it."""

    @protected
    async def get(self) -> None:
        """Answer what of ``?path=`` would be copied, and what in it can run."""
        asked = self.get_query_argument("path", None, strip=False)

        def look() -> folder.CopyPlan:
            return folder.plan(*self.places.folder(asked))

        self.answer((await asyncio.to_thread(look)).as_json())


def _header(document: HomeDocument) -> tuple[dict[str, str], Refusal | None]:
    """Read the header comments. Here what cannot be read is reported; where nobody looks at the answer it refuses."""
    try:
        return directives.of_document(document), None
    except Refusal as refusal:
        return {}, refusal
