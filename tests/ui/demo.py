"""The demonstration as a newcomer starts it: `aiinfn-hub demo` in its own process, nothing replaced."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
T = TypeVar("T")


def wait_for(what: str, check: Callable[[], T], seconds: float = 60, step: float = 0.1) -> T:
    """Wait until ``check`` gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(step)


class Demo:
    """One running demonstration.

    Attributes
    ----------
    url
        Where the browser goes, ending in a slash.
    ready_seconds
        From the start of the command to its banner.
    """

    def __init__(self, data: Path, patience: float = 90, platform: Path = ROOT / "platform.yaml") -> None:
        port, hub, proxy, vkd, iam = free_ports(5)
        self.data = data
        self.url = f"http://127.0.0.1:{port}/"
        self.vkd_url = f"http://127.0.0.1:{vkd}/services/vkd"
        self.output = data.parent / f"{data.name}.out"
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("AIINFN_", "JUPYTER", "PYTEST_"))
        }
        environment |= {
            "AIINFN_PLATFORM": str(platform),
            "AIINFN_HUB_PORT": str(hub),
            "AIINFN_PROXY_API_PORT": str(proxy),
            "AIINFN_VKD_PORT": str(vkd),
            "AIINFN_IAM_PORT": str(iam),
            "PATH": f"{ROOT / 'deploy/proxy/node_modules/.bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        started = time.monotonic()
        self._stream = self.output.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aiinfn_hub.cli", "demo", "--port", str(port), "--data", str(data)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for("the demonstration's banner", self._announced, patience)
        except AssertionError:
            self.stop()
            raise
        self.ready_seconds = time.monotonic() - started

    def _announced(self) -> bool:
        assert self.process.poll() is None, f"the demonstration ended:\n{self.printed()}"
        return "Ctrl-C" in self.printed()

    def printed(self) -> str:
        """Give what the command has written to the terminal."""
        return self.output.read_text()

    def vkd_process(self) -> psutil.Process | None:
        """Find vkd among the descendants; None while it does not run."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "aiinfn_hub.vkd" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    return process
        return None

    def marked_processes(self) -> list[psutil.Process]:
        """Find everything on the machine that works in this demonstration's data folder or was started by it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and str(self.data) in " ".join(
                    (*process.cmdline(), *process.environ().values(), process.cwd())
                ):
                    found.append(process)
        return found

    def stop(self) -> int:
        """Press Ctrl-C and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._stream.close()
        return self.process.returncode
