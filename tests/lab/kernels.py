"""Real kernels for tests of their state: one of the test's own, or one of a Jupyter server."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from aiinfn_lab.kernel_state import asking
from tests.lab.conftest import Lab


class Kernel:
    """A client of a kernel that waits for each answer."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, code: str, *, silent: bool = False) -> str:
        """Execute code as a cell, and give what it printed; an error fails the test."""
        printed: list[str] = []

        def take(message: Any) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self.client.execute_interactive(
            code, allow_stdin=False, silent=silent, output_hook=take, timeout=60
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Ask the kernel as server and runner do."""
        number = self.client.execute(
            "", silent=True, store_history=False, user_expressions=asking.expressions(request)
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"]["msg_id"] == number:
                return asking.answer(reply["content"])
        raise AssertionError("no answer")

    def look(self, *needed: str, seconds: float = 10) -> dict[str, Any]:
        return self.ask(do="look", needed=list(needed), seconds=seconds)

    def save(self, path: Path, *leave_out: str, limit: int = 10**9) -> dict[str, Any]:
        return self.ask(do="save", path=str(path), leave_out=list(leave_out), limit=limit)


@contextmanager
def own_kernel(folder: Path) -> Iterator[Kernel]:
    """Run a kernel in a folder."""
    manager = KernelManager(kernel_name="python3")
    # Without it matplotlib of the test's environment would be asked for a window.
    manager.start_kernel(cwd=str(folder), extra_arguments=["--HistoryManager.hist_file=:memory:"])
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _wait(client: Any) -> None:
    """Wait until both channels work. Not the client's own way, which takes a slow start for a death."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        client.kernel_info()
        with suppress(queue.Empty):
            client.get_shell_msg(timeout=1)
            client.get_iopub_msg(timeout=0.5)
            return
    raise AssertionError("the kernel does not answer")


@contextmanager
def kernel_of(lab: Lab, folder: str = "") -> Iterator[tuple[str, Kernel]]:
    """Start a kernel of a Jupyter server, as JupyterLab does, and give its id and a client."""
    answer = lab.ask("POST", "/api/kernels", body={"name": "python3", "path": folder})
    assert answer.status == 201, answer.body
    identity = answer.json["id"]
    client = BlockingKernelClient(
        connection_file=str(lab.home / f".local/share/jupyter/runtime/kernel-{identity}.json")
    )
    client.load_connection_file()
    client.start_channels()
    try:
        _wait(client)
        yield identity, Kernel(client)
    finally:
        client.stop_channels()
        lab.ask("DELETE", f"/api/kernels/{identity}")
