"""The runner's end of the channels to a job's kernel.

nbclient listens to a kernel only while a cell runs, and only to what belongs to that cell. Here one task listens all the time, and
puts each output where it belongs: under the cell that caused it, whichever runs now.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Final

import zmq
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import output_from_msg

from aiinfn_lab.runner import inside_kernel
from aiinfn_lab.runner.outputs import CellOutputs, Outputs
from aiinfn_lab.runner.protocol import Reporter

_INSIDE: Final = Path(inside_kernel.__file__).read_text(encoding="utf-8")
_ANSWER: Final = "answer"
_HEARING: Final = 0.2
"""Seconds after which a kernel that has answered is asked again, if its outputs do not arrive."""
_POLL: Final = 0.2
"""Seconds between two looks whether the kernel's process is there."""
_QUIET: Final = 0.5
"""Seconds without a message after which no more comes from a kernel that has ended, or is not ours to ask."""
_LAST_OUTPUTS: Final = 60.0
"""Seconds that outputs may be on their way when a cell is over; of a kernel that drops nothing, seconds without any message."""
_SILENCE: Final = 10.0
"""Seconds without a message after which a kernel that may drop messages has dropped the one that ends a cell's outputs."""
_PATIENCE: Final = 1.0
"""Seconds after which it is reported that something is still at work."""
_TURN: Final = 0.05
"""Seconds for which messages are taken in without letting others have their turn."""
_AHEAD: Final = 100_000
"""Messages that a kernel may be ahead of the runner if it drops what is more."""
_AHEAD_LOSSLESS: Final = 100
"""Messages that a kernel may be ahead of the runner if it waits then; each may be large, e.g. an image."""
_MISSING: Final = "some outputs may be missing here: the kernel drops what it cannot send fast enough"
_SHOWN: Final = frozenset({"execute_result", "display_data"})
_OUTPUTS: Final = frozenset({*_SHOWN, "stream", "error"})
_output: Final[Any] = output_from_msg


class KernelClient(NotebookClient):
    """Runs cells, and shows what they print in the job's log as well."""

    def __init__(self, notebook: Any, kernel: Any, reporter: Reporter, outputs: Outputs) -> None:
        super().__init__(notebook, km=kernel, timeout=None, startup_timeout=120)
        self.reset_execution_trackers()
        self.changed = False
        self.stopping = False
        self._reporter = reporter
        self._all = outputs
        self._places: dict[str, tuple[Any, int, CellOutputs]] = {}
        self._place: tuple[Any, int, CellOutputs] | None = None
        self._idle: dict[str, asyncio.Future[None]] = {}
        self._held = asyncio.Event()
        self._heard = 0.0
        self._tasks: list[asyncio.Task[Any]] = []
        self._death: asyncio.Task[None] | None = None
        self._pipes: list[int] = []
        self._asked = False
        self._lossless = False
        self._begun = False
        self.information: dict[str, Any] = {}
        """The kernel's answer to ``kernel_info_request``."""

    async def start(self) -> None:
        """Open the channels once the kernel is ready, and prepare it.

        Raises
        ------
        Exception
            Of many kinds, if it does not become ready.
        """
        # The default is 1,000: zmq drops what comes while the runner writes a large notebook.
        manager: Any = self.km
        manager.context.setsockopt(zmq.RCVHWM, _AHEAD)
        client: Any = manager.client()
        client.allow_stdin = False
        client.start_channels()
        self.kc = client
        self._heard = time.monotonic()
        self._death = asyncio.ensure_future(self._wait_for_death())
        self._tasks = [asyncio.ensure_future(self._listen()), self._death]
        async with asyncio.timeout(self.startup_timeout):
            self.information = await self._ready()
        # A kernel of another kind than IPython knows no such expressions, and does without.
        shell = "__import__('IPython').get_ipython()"
        scope = {"__name__": "aiinfn_job"}
        code = f"(lambda scope: (exec({_INSIDE!r}, scope), scope['set_up']({shell}))[1])({scope!r})"
        answer = await self.ask(code)
        # What the kernel wrote while it started has been sent with that answer, and is no output of the job.
        self._begun = True
        if answer is not None:
            self._asked = True
            kernel = json.loads(answer)
            self._pipes = self._open(kernel["pipes"])
            self._lossless = kernel["lossless"]
            if self._lossless:
                self.kc.iopub_channel.socket.setsockopt(zmq.RCVHWM, _AHEAD_LOSSLESS)

    async def _ready(self) -> dict[str, Any]:
        """Wait until the kernel answers and its outputs arrive here, and return what it says of itself.

        jupyter_client waits for outputs not to come, for a fifth of a second; here the end of an answer's outputs shows that
        they arrive.
        """
        while True:
            client: Any = self.kc
            message = client.session.msg("kernel_info_request")
            number = message["header"]["msg_id"]
            idle = self._idle[number] = asyncio.get_running_loop().create_future()
            client.shell_channel.send(message)
            information = await self._reply(number)
            # What it published before the subscription had reached it is lost.
            await asyncio.wait({idle, self._dead}, timeout=_HEARING, return_when=asyncio.FIRST_COMPLETED)
            self._idle.pop(number, None)
            if idle.done():
                return information

    def _open(self, descriptors: list[int]) -> list[int]:
        """Open the pipes from which the kernel reads what reaches its descriptors.

        The runner only reads what the kernel left there when it ended, e.g. the last words of compiled code.
        """
        opened = []
        for number in descriptors:
            with contextlib.suppress(OSError, AttributeError):
                flags = os.O_RDONLY | os.O_NONBLOCK
                opened.append(os.open(f"/proc/{self.km.provisioner.pid}/fd/{number}", flags))  # type: ignore[union-attr]
        return opened

    async def close(self) -> None:
        """Stop listening."""
        for task in self._tasks:
            task.cancel()
        if self.kc is not None:
            # A kernel that waits for its outputs to be read could not end.
            self.kc.iopub_channel.close()
        for descriptor in self._pipes:
            os.close(descriptor)
        self._pipes = []

    # Requests

    async def ask(self, expression: str, *, told_after: float | None = None, told: str = "") -> str | None:
        """Have the kernel evaluate an expression that gives a text, without a trace in history and numbering.

        Parameters
        ----------
        told_after, told
            After so many seconds without a reply, a line for the log.

        Returns
        -------
        str or None
            None if it could not.

        Raises
        ------
        DeadKernelError
            If it ends meanwhile.
        """
        content = {
            "code": "",
            "silent": True,
            "store_history": False,
            "user_expressions": {_ANSWER: expression},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        reply = asyncio.ensure_future(self._request(content, self._place))
        if told_after is not None:
            await asyncio.wait({reply}, timeout=told_after)
            if not reply.done():
                self._reporter.line(told)
        result = (await reply).get("user_expressions", {}).get(_ANSWER, {})
        try:
            found = ast.literal_eval(result["data"]["text/plain"])
        except (KeyError, TypeError, ValueError, SyntaxError):
            return None
        return found if isinstance(found, str) else None

    async def finish(self, waiting: str) -> int:
        """Wait for what the cells started and Python waits for before it ends; say so if it takes its time.

        Returns
        -------
        int
            How many asyncio tasks of the cells are still pending: these are not waited for.
        """
        if not self._asked:
            return 0
        call = "__import__('IPython').get_ipython().kernel.aiinfn_job.finish()"
        answer = await self.ask(call, told_after=_PATIENCE, told=waiting)
        return int(answer) if answer else 0

    async def run_cell(self, cell: Any, index: int) -> dict[str, Any]:
        """Execute a cell and return the content of the kernel's reply.

        Raises
        ------
        DeadKernelError
            If the kernel ends meanwhile.
        """
        expected = "raises-exception" in cell.metadata.get("tags", [])
        self.code_cells_executed += 1
        self._place = cell, index, self._all.of_cell(cell)
        content = {
            "code": cell.source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": not expected,
        }
        reply = await self._request(content, self._place)
        cell["execution_count"] = self.code_cells_executed
        return reply

    async def _request(
        self, content: dict[str, Any], place: tuple[Any, int, CellOutputs] | None
    ) -> dict[str, Any]:
        client: Any = self.kc
        message = client.session.msg("execute_request", content)
        number = message["header"]["msg_id"]
        # Known before the first answer can come.
        if place is not None:
            self._places[number] = place
        idle = self._idle[number] = asyncio.get_running_loop().create_future()
        sent = client.shell_channel.send(message)
        if asyncio.isfuture(sent) or asyncio.iscoroutine(sent):
            await sent
        reply = await self._reply(number)
        await self._until_idle(idle)
        self._idle.pop(number, None)
        return reply

    async def _until_idle(self, idle: asyncio.Future[None]) -> None:
        """Wait for the message that ends a request's outputs; say so if it does not come."""
        began = time.monotonic()
        while not (idle.done() or self._dead.done()):
            now, heard = time.monotonic(), max(self._heard, began)
            end = heard + _LAST_OUTPUTS if self._lossless else min(heard + _SILENCE, began + _LAST_OUTPUTS)
            if now >= end:
                self._reporter.line(f"[{_MISSING}]")
                return
            await asyncio.wait({idle, self._dead}, timeout=end - now, return_when=asyncio.FIRST_COMPLETED)

    @property
    def _dead(self) -> asyncio.Task[None]:
        assert self._death is not None  # noqa: S101 - after `start`
        return self._death

    async def _reply(self, number: str) -> dict[str, Any]:
        reply = asyncio.ensure_future(self._receive(number))
        try:
            await asyncio.wait({reply, self._dead}, return_when=asyncio.FIRST_COMPLETED)
            if not reply.done():
                # It may have been on its way.
                await asyncio.wait({reply}, timeout=_POLL)
            if reply.done():
                return reply.result()
        finally:
            reply.cancel()
        await self.drain()
        raise DeadKernelError("Kernel died")

    async def _receive(self, number: str) -> dict[str, Any]:
        client: Any = self.kc
        while True:
            with contextlib.suppress(ValueError):  # a message that is not signed by the kernel
                message = await client.shell_channel.get_msg(timeout=None)
                if message["parent_header"].get("msg_id") == number:
                    return dict(message["content"])

    # The kernel's end

    async def _wait_for_death(self) -> None:
        provisioner: Any = self.km.provisioner  # type: ignore[union-attr]
        while await provisioner.poll() is None:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(_POLL)

    def ended_with(self) -> int | None:
        """Return the exit code of the kernel's process, negative for a signal; None if it is not known."""
        process = getattr(self.km.provisioner, "process", None)  # type: ignore[union-attr]
        return process.poll() if process is not None else None

    async def drain(self) -> None:
        """Take in what a kernel that has ended sent before, and what it had not yet read of its own descriptors."""
        await self._quiet()
        for descriptor, name in zip(self._pipes, ("stdout", "stderr"), strict=False):
            with contextlib.suppress(OSError):
                while data := os.read(descriptor, 65536):
                    self._stream(self._place, name, data.decode(errors="replace"))

    async def _quiet(self) -> None:
        began = time.monotonic()
        while time.monotonic() - max(self._heard, began) < _QUIET:  # noqa: ASYNC110 - it is about time
            await asyncio.sleep(_QUIET / 10)

    async def hold(self, seconds: float) -> None:
        """Hold the code where it is, and take in what it wrote before.

        Parameters
        ----------
        seconds
            The most that this may take: code that is busy outside of Python cannot be held.
        """
        self.stopping = True
        if self._death is None:
            return
        if not self._asked:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._quiet()
            return
        # Not of the group: what the code started is told by whoever stops the job, or killed afterwards.
        with contextlib.suppress(ProcessLookupError, AttributeError):
            os.kill(self.km.provisioner.pid, signal.SIGTERM)  # type: ignore[union-attr]
        held = asyncio.ensure_future(self._held.wait())
        try:
            await asyncio.wait({held, self._dead}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not held.done() and self._dead.done():
                await self.drain()
        finally:
            held.cancel()

    # Messages

    async def _listen(self) -> None:
        channel: Any = self.kc.iopub_channel  # type: ignore[union-attr]
        # All that has come is read at once: a task's turn costs more than a message.
        socket: zmq.Socket[bytes] = zmq.Socket.shadow(channel.socket)
        while True:
            await channel.socket.poll()
            with self._reporter.together():
                self._read(socket, channel.session)
            await asyncio.sleep(0)

    def _read(self, socket: zmq.Socket[bytes], session: Any) -> None:
        """Take in the messages that are there, for as long as others may wait for their turn."""
        end = time.monotonic() + _TURN
        while time.monotonic() < end:
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            # What is not signed by the kernel, or of no shape that can be shown, is left out: the others can be.
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, AssertionError):
                self._take(session.deserialize(session.feed_identities(parts)[1]))
            self._heard = time.monotonic()

    def _take(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        parent = message["parent_header"].get("msg_id")
        if kind == inside_kernel.STOPPED:
            self._held.set()
        elif kind == "status":
            if content["execution_state"] == "idle" and (idle := self._idle.get(parent)) and not idle.done():
                idle.set_result(None)
        elif kind != "execute_input" and self._begun:
            # What belongs to no cell, e.g. of a thread that the kernel started itself, is shown where it came.
            self._show(kind, message, parent, self._places.get(parent) or self._place)

    def _show(
        self,
        kind: str,
        message: dict[str, Any],
        parent: str | None,
        place: tuple[Any, int, CellOutputs] | None,
    ) -> None:
        content = message["content"]
        self.changed = True
        if kind == "stream":
            self._reporter.log(content["text"])
        elif kind in _SHOWN and isinstance(text := content["data"].get("text/plain"), str):
            self._reporter.line(text)
        if place is None:
            return
        cell, index, outputs = place
        display_id = (content.get("transient") or {}).get("display_id")
        if display_id and kind in {*_SHOWN, "update_display_data"}:
            self._all.update(display_id, _output({**message, "header": {"msg_type": "display_data"}}))
        hooks = self.output_hook_stack.get(parent or "")
        if kind.startswith("comm"):
            self.handle_comm_msg(cell.outputs, message, index)
        elif hooks and kind == "clear_output":
            hooks[-1].clear_output(cell.outputs, message, index)
        elif hooks and kind in _OUTPUTS:
            hooks[-1].output(cell.outputs, message, display_id, index)
        else:
            self._add(kind, message, outputs, display_id)

    def _add(self, kind: str, message: dict[str, Any], outputs: CellOutputs, display_id: str | None) -> None:
        content = message["content"]
        if kind == "stream":
            outputs.write(content["name"], content["text"])
        elif kind in _SHOWN:
            outputs.add(_output(message), display_id)
        elif kind == "error":
            # Once the job is told to stop, what happens to its code is no error of the code.
            if not self.stopping:
                outputs.add(_output(message))
        elif kind == "clear_output":
            outputs.clear(wait=bool(content.get("wait")))

    def _stream(self, place: tuple[Any, int, CellOutputs] | None, name: str, text: str) -> None:
        self._reporter.log(text)
        self.changed = True
        if place is not None:
            place[2].write(name, text)
