"""What would be submitted."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import Any

from jupyter_core.utils import ensure_async

from aiinfn_lab import submission
from aiinfn_lab.inspection import Inspection, inspect
from aiinfn_lab.paths import Document

from .base import Handler, problem, protected


class FileHandler(Handler):
    """A handler that looks at a file of the person."""

    async def examine(self, path: object) -> tuple[Document, Inspection]:
        """Read and inspect a file without holding up the server.

        Raises
        ------
        Refusal
            If it is nothing to submit.
        """
        limit: int = self.extension.largest_input
        document = await asyncio.to_thread(self.places.read, path, limit)
        return document, await asyncio.to_thread(inspect, document)

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


class InspectHandler(FileHandler):
    """Looks at a file without submitting it."""

    @protected
    async def get(self) -> None:
        """Answer kind, kernel and parameters of ``?path=``."""
        document, found = await self.examine(self.get_query_argument("path", None, strip=False))
        title, available = await self.kernel(found)
        refusal = submission.check_kernel(found, available=available)
        kernel: dict[str, Any] | None = None
        if found.kernel is not None:
            kernel = {"name": found.kernel, "title": title, "available": available}
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
                "problem": problem(refusal) if refusal else None,
            }
        )
