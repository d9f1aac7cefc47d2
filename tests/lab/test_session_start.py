"""The start of a session's server: what JupyterLab does by itself and nobody in a session needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("prepare", "started"), [("", True), ("singleuser.without_node(); ", False)])
def test_a_session_starts_no_node(tmp_path: Path, prepare: str, started: bool) -> None:
    mark = tmp_path / "started"
    node = tmp_path / "bin/node"
    node.parent.mkdir()
    node.write_text(f"#!/bin/sh\ntouch {mark}\n")
    node.chmod(0o755)
    code = f"from aiinfn_lab import singleuser; {prepare}from jupyterlab import labapp; print(labapp.version)"
    environment = os.environ | {
        "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }
    told = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip()
    # Without this, JupyterLab starts it: if that ends, so may what keeps it from doing so.
    assert mark.exists() == started
