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
from nbclient.exceptions import DeadKernelError
from nbformat.v4.nbjson import JSONWriter
from papermill.engines import NotebookExecutionManager
from papermill.exceptions import PapermillException
from papermill.execute import ERROR_MARKER_TAG, remove_error_markers

from aiinfn_hub.contract.jobs import RunSpec
from aiinfn_lab.runner.client import KernelClient
from aiinfn_lab.runner.outputs import Outputs
from aiinfn_lab.runner.protocol import CannotRunError, Reporter, RunnerExit, no_room
from aiinfn_lab.runner.watch import RunWatch

from . import inside_kernel, notebook_file, resume

_SKIP_TAG: Final = "skip-execution"
_SAVE_EVERY: Final = 1.0
"""Seconds between saves of a notebook that changes; longer if a save takes long."""
_SHARE: Final = 10
"""A save may take at most one part in this many of the time."""
_HOLD: Final = 1.5
"""Seconds to wait for the last outputs of a job that is told to stop; the shortest grace is 2 s."""
_WAITING: Final = "all cells have run; the job waits for threads or processes that they started"
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
        watch: RunWatch,
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
        self._variables: resume.Variables | None = None
        self._complained = False
        self._duration = 0.0
        self._stopped = False
        self._outputs = Outputs()
        self._client: KernelClient | None = None
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
        client = KernelClient(self.notebook, self._kernel, self._reporter, self._outputs)
        try:
            await client.start()
        except Exception as error:
            raise CannotRunError(
                "Kernel not starting", f"The kernel '{self._spec.work.kernel}' ended before it was ready."
            ) from error
        self._client = client
        try:
            return await self._run(client)
        finally:
            await client.close()

    async def _run(self, client: KernelClient) -> int:
        if "language_info" in client.information:
            self.notebook.metadata["language_info"] = client.information["language_info"]
        if self._variables is not None:
            try:
                await self._variables.restore(client, self._why_ended)
            except CannotRunError:
                self._note("failed")
                self._save_last(RunnerExit.CANNOT_RUN)
                raise
        saver = asyncio.ensure_future(self._keep_saving())
        try:
            code = await self._run_cells(client)
            if code == RunnerExit.SUCCESS and not self._stopped:
                code = await self._finish(client)
            if self._variables is not None and code == RunnerExit.SUCCESS and not self._stopped:
                await self._keep_variables(client, self._variables)
        finally:
            saver.cancel()
        if self._stopped:
            return code
        client.set_widgets_metadata()
        self._note("succeeded" if code == RunnerExit.SUCCESS else "failed")
        self._manager.notebook_complete()
        return self._save_last(code)

    async def stop(self) -> None:
        """Save what there is, with a note that it is not all. What happens to the kernel from now on is no error.

        Then the code is held where it is, and what it wrote before is added.
        """
        self._stopped = True
        self._note("stopped")
        # First of all, as there may be only seconds left.
        self._save_stopped()
        if self._client is not None:
            await self._client.hold(_HOLD)
            if self._client.changed:
                self._save_stopped()

    def _save_stopped(self) -> None:
        try:
            self._save(durable=True)
        except OSError as error:
            self._reporter.line(f"[the last outputs could not be saved: {error.strerror}]")

    def _save(self, *, durable: bool = False) -> None:
        began = time.monotonic()
        if self._client is not None:
            self._client.changed = False
        try:
            self._outputs.render()
            self._output.save(self.notebook, durable=durable)
        finally:
            self._duration = time.monotonic() - began

    async def _run_cells(self, client: KernelClient) -> int:
        for index, cell in list(enumerate(self.notebook.cells))[self._start :]:
            runs = _runs(cell)
            if runs:
                self._cell += 1
                self._reporter.progress(self._cell, self._total)
                self._reporter.line(f"[cell {self._cell} of {self._total}]")
            self._manager.cell_start(cell, index)
            try:
                end = await self._run_cell(client, cell, index) if runs else None
            finally:
                self._manager.cell_complete(cell, cell_index=index)
            if end is not None:
                return end
        return RunnerExit.SUCCESS

    async def _run_cell(self, client: KernelClient, cell: Any, index: int) -> int | None:
        """Run a cell; return the runner's exit code if no other cell is to run."""
        try:
            reply = await client.run_cell(cell, index)
        except DeadKernelError:
            if self._stopped:
                return RunnerExit.STOPPED
            self._manager.cell_exception(cell, cell_index=index)
            name, message = self._why_ended()
            cell.outputs.append(_error_output("DeadKernel", message))
            self._reporter.error(name, message, cell=self._cell)
            return RunnerExit.FAILED
        if self._stopped:
            return RunnerExit.STOPPED
        if reply.get("status") != "error":
            asked = any(each.get("source") == "ask_exit" for each in reply.get("payload") or ())
            return self._exit(cell, index, 0, "") if asked else None
        if "raises-exception" in cell.metadata.get("tags", []):
            return None
        name, message = str(reply.get("ename", "Error")), str(reply.get("evalue", ""))
        if name == "NoneType" and (shown := _last_error(cell)) is not None:
            # The code itself was right; what it gave could not be shown.
            name, message = shown.ename, shown.evalue
        traceback = [str(line) for line in reply.get("traceback") or ()]
        if name == "SystemExit" and traceback and traceback[0].startswith(inside_kernel.EXIT):
            return self._exit(cell, index, json.loads(traceback[0].removeprefix(inside_kernel.EXIT)), message)
        self._manager.cell_exception(cell, cell_index=index)
        message = message or name
        self._reporter.error(
            name,
            self._variables.explain(name, message) if self._variables else message,
            cell=self._cell,
            traceback=_traceback(cell, traceback),
        )
        return RunnerExit.FAILED

    def _exit(self, cell: Any, index: int, code: int | None, text: str) -> int:
        """Take note of an end that the code asked for.

        Parameters
        ----------
        code
            None for a text, which Python shows before it ends with 1.
        """
        left = self._total - self._cell
        rest = ""
        if left:
            rest = f"the {f'{left} cells' if left > 1 else 'cell'} after it did not run"
        if code == 0 or (text == inside_kernel.RESTART and not rest):
            if rest:
                self._say(cell, f"[the code ended the job in cell {self._cell} of {self._total}: {rest}]")
            return RunnerExit.SUCCESS
        self._manager.cell_exception(cell, cell_index=index)
        if text == inside_kernel.RESTART:
            message = f"The code restarted its kernel. A job has one kernel from its first cell to its last: {rest}."
            cell.outputs.append(_error_output("KernelRestart", message))
            self._reporter.error("Kernel restarted", message, cell=self._cell)
            return RunnerExit.FAILED
        shown = f"SystemExit: {text}"
        cell.outputs.append(_error_output("SystemExit", text, shown))
        if code is None:
            self._reporter.error("SystemExit", text, cell=self._cell, traceback=shown)
        else:
            message = f"The code ended the job with exit code {code}{f', and {rest}' if rest else ''}."
            self._reporter.error(f"Exit code {code}", message, cell=self._cell)
        return RunnerExit.FAILED

    def _say(self, cell: Any, line: str) -> None:
        """Report in the log and below a cell."""
        self._reporter.line(line)
        new_output: Any = nbformat.v4.new_output
        cell.outputs.append(new_output("stream", name="stderr", text=line + "\n"))

    def _why_ended(self) -> tuple[str, str]:
        """Explain why the kernel's process ended that nobody told to: the error's name, and a sentence."""
        code = self._client.ended_with() if self._client is not None else None
        return self._watch.why_ended("The kernel", code)

    async def _finish(self, client: KernelClient) -> int:
        """Wait for what is still at work after the last cell, as Python does at the end of a script."""
        try:
            answer = await client.finish(f"[{_WAITING}]")
        except DeadKernelError:
            if self._stopped:
                return RunnerExit.STOPPED
            name, message = self._why_ended()
            self._reporter.error(name, f"{message} All cells had run; it waited for what they had started.")
            return RunnerExit.FAILED
        if answer:
            tasks = "1 asyncio task that was" if answer == 1 else f"{answer} asyncio tasks that were"
            self._reporter.line(f"[{tasks} not awaited did not get to the end]")
        return RunnerExit.SUCCESS

    async def _keep_saving(self) -> None:
        """Save the growing output from time to time; a save that fails is reported once and tried again."""
        while True:
            await asyncio.sleep(max(_SAVE_EVERY, _SHARE * self._duration))
            if not (self._output.changed or (self._client is not None and self._client.changed)):
                continue
            try:
                self._save()
            except OSError as error:
                if not self._complained:
                    self._complained = True
                    why = "there is no room left in your home" if no_room(error) else error.strerror
                    self._reporter.line(f"[the output cannot be saved for now: {why}]")

    def _save_last(self, code: int) -> int:
        try:
            self._save(durable=True)
        except OSError as error:
            why = "there is no room left in your home" if no_room(error) else f"{error.strerror}"
            self._reporter.error(
                "Disk full" if no_room(error) else "File error", f"The result could not be saved: {why}."
            )
            return RunnerExit.FAILED
        return code

    async def _keep_variables(self, client: KernelClient, variables: resume.Variables) -> None:
        if await variables.keep(client, self._spec.job):
            resume.tell(self.notebook, self._start, self._spec.job)

    def _take_over(self, start: int) -> list[Any]:
        """Note where a job that goes on from a session begins, and give the cells before, as they are."""
        if self._spec.work.state is None:
            return []
        state = Path(self._spec.home, self._spec.work.state)
        self._start = resume.mark(self.notebook, start, self._spec.job, state)
        self._variables = resume.Variables(state, self._reporter)
        return resume.keep(self.notebook, self._start)

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


def _error_output(name: str, message: str, shown: str = "") -> Any:
    new_output: Any = nbformat.v4.new_output
    return new_output("error", ename=name, evalue=message, traceback=[shown or message])


def _last_error(cell: Any) -> Any:
    return next((each for each in reversed(cell.outputs) if each.output_type == "error"), None)


def _traceback(cell: Any, replied: list[str]) -> str:
    shown = _last_error(cell)
    return "\n".join(replied if shown is None else shown.traceback)
