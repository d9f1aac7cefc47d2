"""Real JupyterLab with our server extension, from this environment, in a real container."""

import json
import sys
import time
import urllib.request
from typing import Any

from tests.cluster import workloads
from tests.cluster.harness import images, volumes, wait_for
from tests.cluster.kernels import execute
from tests.cluster.workbench import SESSIONS

TOKEN = "token-of-the-test"
PORT = 8888


def test_jupyterlab_with_our_extension_answers_from_a_container_of_uid_1000(
    cluster: Any, workbench: Any, figure: Any
) -> None:
    folders = volumes.python_folders()
    cluster.claim_folders("sessions", folders)
    claims, points = volumes.mounts(folders, read_only=True)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--ip=0.0.0.0", f"--port={PORT}", "--no-browser"),
        *("--ServerApp.jpserver_extensions={'aiinfn_lab': True}", f"--IdentityProvider.token={TOKEN}"),
    ]
    environment = {
        "HOME": "/home/user",
        "LANG": "C.UTF-8",
        "AIINFN_PROJECT": "flavour",
        "AIINFN_ACCELERATOR": "t4",
    }
    pod = workloads.session("lab", None)
    pod["spec"]["volumes"] = claims
    pod["spec"]["containers"] = [
        workloads.container(
            command,
            {},
            image=images.HOSTFS,
            volumeMounts=points,
            workingDir="/home/user",
            env=[{"name": name, "value": value} for name, value in environment.items()],
        )
    ]
    begin = time.monotonic()
    cluster.api.post(SESSIONS, pod)
    address = wait_for("an address", lambda: workbench.session("lab")["status"].get("podIP"))

    def ask(path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://{address}:{PORT}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def first_answer() -> Any:
        phase = workbench.session("lab")["status"]["phase"]
        assert phase in ("Pending", "Running"), workbench.log("lab")
        return ask("/api/status")

    wait_for("JupyterLab", first_answer, timeout=90)
    figure("JupyterLab in a container: creation to first answer, s", time.monotonic() - begin)

    assert b"JupyterLab" in ask("/lab")
    session = json.loads(ask("/aiinfn-lab/status"))["session"]
    assert session["project"] == "flavour"
    assert session["accelerator"] == "t4"

    kernel = json.loads(ask("/api/kernels", "POST", {"name": "python3"}))["id"]
    channels = f"ws://{address}:{PORT}/api/kernels/{kernel}/channels"
    said = execute(channels, [f"Authorization: token {TOKEN}"], PROBE)
    figure("JupyterLab in a container: creation to a cell's output, s", time.monotonic() - begin)
    # The environment is this machine's own: a session must not be able to change it.
    assert said.split() == ["1000", "/home/user", "EROFS"]


PROBE = """
import errno, os, sys
print(os.getuid(), os.getcwd())
try:
    open(sys.prefix + "/probe", "w")
except OSError as error:
    print(errno.errorcode[error.errno])
else:
    print("written")
"""
