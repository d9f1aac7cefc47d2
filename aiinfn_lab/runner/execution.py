"""The cells of a notebook, one after the other, with an output that grows meanwhile.

papermill gives the parameters and the metadata that its readers know, nbclient talks to the kernel.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat.v4.nbjson import JSONWriter
from papermill.engines import NotebookExecutionManager
from papermill.exceptions import PapermillException
from papermill.execute import ERROR_MARKER_TAG, remove_error_markers

from aiinfn_hub.vkd.contract import RunSpec
from aiinfn_lab.runner import notebook_file, takeover
from aiinfn_lab.runner.protocol import OUT_OF_MEMORY, CannotRunError, Exit, Reporter, no_room
from aiinfn_lab.runner.watch import Watch

_SKIP_TAG: Final = "skip-execution"
_SAVE_EVERY: Final = 1.0
"""Seconds between saves of a notebook that changes; longer if a save takes long."""
_SHARE: Final = 10
"""A save may take at most one part in this many of the time."""
_WRITER: Final[Any] = JSONWriter()
_KEY: Final = "aiinfn"
"""Our part of the output's metadata."""


class Execution:
    """Executes a notebook in a kernel that was launched already."""

    def __init__(
        self,
        spec: RunSpec,
        snapshot: Path,
        output: Path,
        kernel: Any,
        reporter: Reporter,
        watch: Watch,
    ) -> None:
        self._watch = watch
        self._spec = spec
        self._snapshot = snapshot
        self._output = _Output(output, spec.job)
        self._attempt = spec.attempt or _next_attempt(output, spec.job)
        self._kernel = kernel
        self._reporter = reporter
        self._cell = 0
        self._start = 0
        self._variables: takeover.Variables | None = None
        self._complained = False
        self._stopped = False
        # Both libraries log what is in the log or in the error record already.
        for name in ("papermill", "traitlets", "nbclient"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def prepare(self) -> None:
        """Read the notebook, inject the parameters and write the output for the first time.

        Raises
        ------
        CannotRunError
            If it is no notebook, or its language takes no parameters.
        OSError
            If the output cannot be written: better now than after hours.
        """
        work = self._spec.work
        notebook = notebook_file.load(self._snapshot.read_bytes(), work.path)
        if work.parameters:
            try:
                notebook = notebook_file.parameterize(
                    notebook, work.parameters, str(work.kernel), self._language(notebook)
                )
            except (PapermillException, NotImplementedError, ValueError) as error:
                raise CannotRunError(
                    "Parameters", "Parameters cannot be given to a notebook of this language."
                ) from error
        start = sum(1 for cell in notebook.cells[: work.start_cell or 0] if not _is_error_marker(cell))
        self.notebook = remove_error_markers(notebook)
        kept = self._take_over(start)
        self.notebook.metadata.papermill["input_path"] = work.path
        self.notebook.metadata.papermill["output_path"] = self._spec.output
        self._note("running")
        self._name_kernel()
        self._total = sum(1 for cell in self.notebook.cells[self._start :] if _runs(cell))
        self._manager = _Manager(self.notebook, self._output)
        self._manager.notebook_start()
        self.notebook.cells[: self._start] = kept
        self._output.save(self.notebook)

    async def run(self) -> int:
        """Execute all cells and give the runner's exit code."""
        client = _Client(self.notebook, self._kernel, self._reporter, self._output)
        try:
            await client.async_start_new_kernel_client()
        except Exception as error:
            raise CannotRunError(
                "Kernel not starting", f"The kernel '{self._spec.work.kernel}' ended before it was ready."
            ) from error
        await self._ask_language(client)
        if self._variables is not None:
            try:
                await self._variables.restore(client)
            except CannotRunError:
                self._note("failed")
                self._save_last(Exit.CANNOT_RUN)
                raise
        saver = asyncio.ensure_future(self._keep_saving())
        try:
            code = await self._run_cells(client)
            if self._variables is not None and code == Exit.SUCCESS and not self._stopped:
                await self._keep_variables(client, self._variables)
        finally:
            saver.cancel()
        if self._stopped:
            return code
        client.set_widgets_metadata()
        self._note("succeeded" if code == Exit.SUCCESS else "failed")
        self._manager.notebook_complete()
        return self._save_last(code)

    def stopped(self) -> None:
        """Save what there is, with a note that it is not all. What happens to the kernel from now on is no error."""
        self._stopped = True
        self._note("stopped")
        try:
            self._output.save(self.notebook, durable=True)
        except OSError as error:
            self._reporter.line(f"[the last outputs could not be saved: {error.strerror}]")

    async def _run_cells(self, client: _Client) -> int:
        for index, cell in list(enumerate(self.notebook.cells))[self._start :]:
            if _runs(cell):
                self._cell += 1
                self._reporter.progress(self._cell, self._total)
                self._reporter.line(f"[cell {self._cell} of {self._total}]")
            self._manager.cell_start(cell, index)
            try:
                await client.async_execute_cell(cell, index, execution_count=client.code_cells_executed + 1)
            except CellExecutionError as error:
                self._manager.cell_exception(cell, cell_index=index, exception=error)
                message = error.evalue or error.ename
                self._reporter.error(
                    error.ename,
                    self._variables.explain(error.ename, message) if self._variables else message,
                    cell=self._cell,
                    traceback=_traceback(cell, error),
                )
                return Exit.FAILED
            except DeadKernelError:
                if self._stopped:
                    return Exit.STOPPED
                self._manager.cell_exception(cell, cell_index=index)
                known = self._watch.why_killed("The kernel")
                message = known or "The kernel died. It may have needed more memory than the job has."
                cell.outputs.append(_error_output("DeadKernel", message))
                self._reporter.error(OUT_OF_MEMORY if known else "The kernel died", message, cell=self._cell)
                return Exit.FAILED
            finally:
                self._manager.cell_complete(cell, cell_index=index)
        return Exit.SUCCESS

    async def _keep_saving(self) -> None:
        """Save the growing output from time to time; a save that fails is told once and tried again."""
        while True:
            await asyncio.sleep(max(_SAVE_EVERY, _SHARE * self._output.duration))
            if not self._output.changed:
                continue
            try:
                self._output.save(self.notebook)
            except OSError as error:
                if not self._complained:
                    self._complained = True
                    why = "there is no room left in your home" if no_room(error) else error.strerror
                    self._reporter.line(f"[the output cannot be saved for now: {why}]")

    def _save_last(self, code: int) -> int:
        try:
            self._output.save(self.notebook, durable=True)
        except OSError as error:
            why = "there is no room left in your home" if no_room(error) else f"{error.strerror}"
            self._reporter.error(
                "Disk full" if no_room(error) else "File error", f"The result could not be saved: {why}."
            )
            return Exit.FAILED
        return code

    async def _keep_variables(self, client: _Client, variables: takeover.Variables) -> None:
        if await variables.keep(client, self._spec.job):
            takeover.tell(self.notebook, self._start, self._spec.job)

    def _take_over(self, start: int) -> list[Any]:
        """Note where a job that goes on from a session begins, and give the cells before, as they are."""
        if self._spec.work.state is None:
            return []
        state = Path(self._spec.home, self._spec.work.state)
        self._start = takeover.mark(self.notebook, start, self._spec.job, state)
        self._variables = takeover.Variables(state, self._reporter)
        return takeover.keep(self.notebook, self._start)

    async def _ask_language(self, client: _Client) -> None:
        assert client.kc is not None  # noqa: S101 - it was started before
        reply = await client.async_wait_for_reply(client.kc.kernel_info())
        if reply is not None and "language_info" in reply["content"]:
            self.notebook.metadata["language_info"] = reply["content"]["language_info"]

    def _language(self, notebook: Any) -> str:
        language = self._kernel.kernel_spec.language or notebook.metadata.get("language_info", {}).get("name")
        return str(language or "python").lower()

    def _name_kernel(self) -> None:
        """Let JupyterLab open the output with the kernel that ran it."""
        known = self.notebook.metadata.get("kernelspec", {})
        if known.get("name") != self._spec.work.kernel:
            spec = self._kernel.kernel_spec
            self.notebook.metadata["kernelspec"] = {
                "name": self._spec.work.kernel,
                "display_name": spec.display_name,
                "language": spec.language,
            }

    def _note(self, state: str) -> None:
        self.notebook.metadata[_KEY] = {
            "job": self._spec.job,
            "attempt": self._attempt,
            "input": self._spec.work.path,
            "state": state,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }


class _Client(NotebookClient):
    """Shows what the cells print in the job's log as well."""

    def __init__(self, notebook: Any, kernel: Any, reporter: Reporter, output: _Output) -> None:
        super().__init__(
            notebook,
            km=kernel,
            timeout=None,
            startup_timeout=120,
            # The default gives up on large outputs that are still on their way when the cell is over.
            iopub_timeout=60,
            raise_on_iopub_timeout=False,
            skip_cells_with_tag=_SKIP_TAG,
        )
        self.reset_execution_trackers()
        self._reporter = reporter
        self._file = output

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Take a message of the kernel into the notebook."""
        self._file.changed = True
        content = msg["content"]
        if msg["msg_type"] == "stream":
            self._reporter.log(content["text"])
        elif msg["msg_type"] in {"execute_result", "display_data"}:
            text = content["data"].get("text/plain")
            if isinstance(text, str):
                self._reporter.line(text)
        return super().process_message(msg, cell, cell_index)


class _Manager(NotebookExecutionManager):
    """papermill's book-keeping in the metadata; when to save is decided elsewhere."""

    def __init__(self, notebook: Any, output: _Output) -> None:
        super().__init__(notebook, progress_bar=False)
        self._file = output

    def save(self, **_: Any) -> None:
        """Remember that there is something to save."""
        self._file.changed = True


class _Output:
    """The output file, replaced as a whole: JupyterLab may read it at any moment."""

    def __init__(self, path: Path, job: str) -> None:
        self.changed = True
        self.duration = 0.0
        self._path = path
        # Not from the file's name, which may be as long as names can be.
        self._draft = path.with_name(f".{job}.part")

    def save(self, notebook: Any, *, durable: bool = False) -> None:
        """Write the notebook. On failure the file stays as it was.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        began = time.monotonic()
        self.changed = False
        # Not nbformat.writes: it validates the whole notebook each time.
        text = _WRITER.writes(notebook)
        try:
            with self._draft.open("w", encoding="utf-8", errors="replace") as file:
                file.write(text + "\n")
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            self._draft.replace(self._path)
        except OSError:
            self.changed = True
            self._draft.unlink(missing_ok=True)
            raise
        finally:
            self.duration = time.monotonic() - began


def _next_attempt(output: Path, job: str) -> int:
    """Count on from the attempt that an earlier one of the same job noted in its output."""
    try:
        noted = json.loads(output.read_bytes())["metadata"][_KEY]
        return int(noted["attempt"]) + 1 if noted["job"] == job else 1
    except (OSError, ValueError, KeyError, TypeError):
        return 1


def _runs(cell: Any) -> bool:
    """Whether a cell is executed and counted: its number is then the ``In [n]`` that the output shows."""
    return (
        cell.cell_type == "code"
        and bool(cell.source.strip())
        and _SKIP_TAG not in cell.metadata.get("tags", [])
    )


def _is_error_marker(cell: Any) -> bool:
    """Whether papermill put a cell there to tell of an error of an earlier run."""
    return ERROR_MARKER_TAG in cell.metadata.get("tags", [])


def _error_output(name: str, message: str) -> Any:
    new_output: Any = nbformat.v4.new_output
    return new_output("error", ename=name, evalue=message, traceback=[message])


def _traceback(cell: Any, error: CellExecutionError) -> str:
    for output in reversed(cell.outputs):
        if output.output_type == "error":
            return "\n".join(output.traceback)
    return str(error.traceback)
