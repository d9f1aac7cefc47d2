"""Execution of a notebook: start and end of its kernel, and what happens when the job is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiinfn_hub.contract.jobs import RunSpec
from aiinfn_lab.runner.protocol import CannotRunError, Reporter, RunnerExit, die_with_parent
from aiinfn_lab.runner.records import EVERY
from aiinfn_lab.runner.watch import RunWatch

if TYPE_CHECKING:
    from aiinfn_lab.runner.execution import Execution


def run(
    spec: RunSpec, snapshot: Path, folder: Path, output: Path, reporter: Reporter, watch: RunWatch
) -> int:
    """Run a notebook and give the runner's exit code."""
    return asyncio.run(_Run(spec, snapshot, folder, output, reporter, watch).run())


class _Run:
    """One execution of one notebook."""

    def __init__(
        self,
        spec: RunSpec,
        snapshot: Path,
        folder: Path,
        output: Path,
        reporter: Reporter,
        watch: RunWatch,
    ) -> None:
        self._spec = spec
        self._snapshot = snapshot
        self._folder = folder
        self._output = output
        self._reporter = reporter
        self._watch = watch
        self._stop = asyncio.Event()
        self._execution: Execution | None = None
        self._errors = _KernelErrors()
        self._left = contextlib.ExitStack()

    async def run(self) -> int:
        """Execute the notebook, or stop when told so."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            kernel = await self._start_kernel()
        except BaseException:
            self._left.close()
            raise
        work = asyncio.ensure_future(self._execute(kernel))
        told = asyncio.ensure_future(self._stop.wait())
        looking = asyncio.ensure_future(self._look())
        try:
            await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if self._execution is not None:
                await self._execution.stop()
            self._reporter.line("[stopped]")
            return RunnerExit.STOPPED
        finally:
            told.cancel()
            looking.cancel()
            await self._end_kernel(kernel, gently=work.done() and not self._stop.is_set())
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await work
            self._left.close()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            self._watch.look()

    async def _start_kernel(self) -> Any:
        # Of Jupyter only this is needed to launch the kernel; the rest is loaded while the kernel starts.
        from jupyter_client.kernelspec import NoSuchKernel  # noqa: PLC0415
        from jupyter_client.manager import AsyncKernelManager  # noqa: PLC0415

        from aiinfn_lab.kernels.prepare import NotPrivateError, prepare  # noqa: PLC0415
        from aiinfn_lab.kernels.transport import Transport  # noqa: PLC0415

        name = self._spec.work.kernel
        if not name:
            raise CannotRunError(
                "No kernel",
                "The notebook has no kernel. Choose one in JupyterLab, save it and submit it again.",
            )
        kernel = AsyncKernelManager(kernel_name=name)
        if kernel.has_trait("transport_encryption"):
            # Other people's processes on this host could listen on the loopback ports.
            kernel.transport_encryption = "auto"
        try:
            arguments = []
            spec: Any = kernel.kernel_spec
            # Encrypted first: of a runner that is killed, no folder with sockets is left then.
            prepare(kernel, self._sockets, prefer=Transport.CURVE)
            if any("ipykernel" in word for word in spec.argv):
                # Jobs at the same time would wait for each other's lock on the history, on network file systems for ever.
                arguments = ["--HistoryManager.hist_file=:memory:"]
            async with self._errors.end() as descriptor:
                await kernel.start_kernel(
                    cwd=str(self._folder),
                    # As JupyterLab does: ipykernel's __session__.
                    env={**os.environ, "JPY_SESSION_NAME": str(self._folder / self._snapshot.name)},
                    extra_arguments=arguments,
                    preexec_fn=die_with_parent,
                    stdout=descriptor,
                    stderr=descriptor,
                )
        except NotPrivateError as error:
            raise CannotRunError("Kernel not private", str(error)) from error
        except NoSuchKernel as error:
            raise CannotRunError(
                "Kernel missing",
                f"This environment has no kernel '{name}'. Choose another kernel or another image.",
            ) from error
        except OSError as error:
            raise CannotRunError(
                "Kernel missing", f"The kernel '{name}' could not be started: {error.strerror}."
            ) from error
        return kernel

    def _sockets(self) -> Path:
        """Make the folder for the kernel's sockets, which goes with it."""
        folder = tempfile.TemporaryDirectory(prefix="aiinfn-kernel-", ignore_cleanup_errors=True)
        self._left.callback(folder.cleanup)
        return Path(folder.name)

    async def _execute(self, kernel: Any) -> int:
        execution_type = await asyncio.to_thread(_load)
        execution = execution_type(
            self._spec, self._snapshot, self._output, kernel, self._reporter, self._watch
        )
        execution.prepare()
        self._execution = execution
        return await execution.run()

    async def _end_kernel(self, kernel: Any, *, gently: bool) -> None:
        group = getattr(kernel.provisioner, "pgid", None)
        self._errors.wanted = False
        if group and not gently:
            # jupyter_client interrupts a kernel before it kills it, and code may take that for a failure of its own.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        with contextlib.suppress(Exception):
            kernel.shutdown_wait_time = 3.0
            await kernel.shutdown_kernel(now=not gently)
        if group:
            # What cells started in the background would keep the job's device.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


class _KernelErrors(asyncio.Protocol):
    """What the kernel's process itself writes, e.g. why it dies; cells' output comes another way.

    Attributes
    ----------
    wanted
        False once the kernel is told to end: libraries that are torn down then complain of each other, which is no
        business of the job.
    """

    def __init__(self) -> None:
        self.wanted = True

    @contextlib.asynccontextmanager
    async def end(self) -> AsyncIterator[int]:
        """Yield the descriptor that the kernel writes to."""
        read, write = os.pipe()
        try:
            await asyncio.get_running_loop().connect_read_pipe(lambda: self, os.fdopen(read, "rb"))
            yield write
        finally:
            os.close(write)

    def data_received(self, data: bytes) -> None:
        """Pass it on to the job's own standard error."""
        if self.wanted:
            with contextlib.suppress(OSError):
                sys.stderr.buffer.write(data)
                sys.stderr.buffer.flush()


def _load() -> type[Execution]:
    from aiinfn_lab.runner.execution import Execution  # noqa: PLC0415

    return Execution
