"""Memory of what stands beside the sessions, and of what the server extension adds to each."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.figures import Figure
from bench.spawn import server, session
from bench.stage import resident, stage
from tests.hub.stack import free_ports, wait_for

RUNS = 3


def measure() -> Iterator[Figure]:
    """Measure the hub and vkd after a session came and went, and a Jupyter server with and without the extension."""
    with stage() as running:
        running.sign_in("ada")
        session(running, "ada")
        assert not server(running, "ada")
        hub, vkd = resident(running.process("jupyterhub", "-f")), resident(running.process("aiinfn_hub.vkd"))
    yield Figure("hub, resident", hub, "MB")
    yield Figure("vkd, resident", vkd, "MB", "<= 120 MB", vkd <= 120)
    without = statistics.median(jupyter(False) for _ in range(RUNS))
    with_it = statistics.median(jupyter(True) for _ in range(RUNS))
    yield Figure("a session's Jupyter server, resident", without, "MB")
    yield Figure(
        "added by the server extension", with_it - without, "MB", "<= 15 MB", with_it - without <= 15
    )


def jupyter(extension: bool) -> float:
    """Start a Jupyter server as a session does, ask it something, and give its resident memory."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="aiinfn-lab-") as name:
        switch = {"ServerApp": {"jpserver_extensions": {"aiinfn_lab": extension, "jupyterlab": True}}}
        config = Path(name) / "jupyter_server_config.json"
        config.write_text(json.dumps(switch))
        command = [
            sys.executable,
            "-m",
            "jupyter",
            "server",
            f"--config={config}",
            f"--ServerApp.port={port}",
            "--ServerApp.token=t",
            "--no-browser",
            f"--ServerApp.root_dir={name}",
        ]
        if os.geteuid() == 0:
            command.append("--allow-root")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=name)
        try:

            def answers(path: str) -> bool:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}?token=t", timeout=10).read()
                except OSError:
                    return False
                return True

            wait_for("the Jupyter server answers", lambda: answers("api/status"), 60)
            if extension:
                assert answers("aiinfn-lab/status")
            return resident(psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(20)
