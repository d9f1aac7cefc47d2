"""What a session can rely on, and what it cannot do."""

import http.server
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import workloads
from tests.cluster.harness import ApiError, volumes, wait_for
from tests.cluster.workbench import SESSIONS, is_running


def test_a_session_is_a_real_container_of_an_ordinary_user_with_logs(
    cluster: Any, workbench: Any, figure: Any
) -> None:
    tell = (
        "id -u; id -g; readlink /proc/self/ns/pid; grep -E '^(NoNewPrivs|Seccomp|CapEff):' /proc/self/status"
    )
    command = ("sh", "-c", f"({tell}) && {workloads.OBEDIENT[2]}")

    figure(
        "session without accelerator: creation to running, s", workbench.start_session("plain", None, command)
    )

    lines = wait_for(
        "its log", lambda: "started" in workbench.log("plain") and workbench.log("plain")
    ).split()
    assert lines[:2] == ["1000", "1000"]
    assert lines[2].startswith("pid:[")
    assert lines[2] != str(Path("/proc/self/ns/pid").readlink())
    facts = dict(zip(lines[3:9:2], lines[4:10:2], strict=True))
    assert facts == {"CapEff:": "0" * 16, "NoNewPrivs:": "1", "Seccomp:": "2"}
    assert cluster.kubectl("exec", "-n", "sessions", "plain", "--", "whoami").strip() == "user"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("hostPID", True),
        ("securityContext", {"runAsUser": 0}),
        ("volumes", [{"name": "usr", "hostPath": {"path": "/usr"}}]),
    ],
)
def test_a_pod_below_the_restricted_standard_is_refused(cluster: Any, part: Any, value: Any) -> None:
    pod = workloads.session("bad")
    pod["spec"][part] = value

    with pytest.raises(ApiError, match='violates PodSecurity \\\\"restricted') as refused:
        cluster.api.post(SESSIONS, pod)
    assert refused.value.status == 403


def test_a_session_reaches_this_machine_and_nothing_beyond_the_bridge(cluster: Any, workbench: Any) -> None:
    class Greeting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello from the hub")

        def log_message(self, *_: Any) -> None:
            pass

    gateway = cluster.settings.gateway
    server = http.server.ThreadingHTTPServer((gateway, 0), Greeting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        ask = f"wget -qO- http://{gateway}:{server.server_port}/; echo; ip route; echo over; sleep 60"
        workbench.start_session("caller", None, ("sh", "-c", ask))
        said = wait_for("its answer", lambda: "over" in workbench.log("caller") and workbench.log("caller"))
    finally:
        server.shutdown()
        server.server_close()
    assert "hello from the hub" in said  # type: ignore[operator]
    assert "default" not in said  # type: ignore[operator]


def test_a_folder_of_this_machine_is_a_volume_that_session_and_job_share(
    cluster: Any, workbench: Any, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 1000, 1000)
    for namespace in ("sessions", "batch"):
        cluster.claim_folders(namespace, {"ada": home})
    claims, _ = volumes.mounts({"ada": Path("/home/user")}, read_only=False)
    points = [{"name": "ada", "mountPath": "/home/user"}]

    pod = workloads.session("writer", None, ("sh", "-c", "echo from the session > ~/note; sleep 60"))
    pod["spec"]["volumes"], pod["spec"]["containers"][0]["volumeMounts"] = claims, points
    pod["spec"]["containers"][0]["env"] = [{"name": "HOME", "value": "/home/user"}]
    cluster.api.post(SESSIONS, pod)
    wait_for("the note", lambda: (home / "note").exists() and (home / "note").read_text())
    assert (home / "note").stat().st_uid == 1000

    work = workloads.job("reader", None, ("sh", "-c", "cat ~/note && echo from the job > ~/answer"))
    template = work["spec"]["template"]["spec"]
    template["volumes"], template["containers"][0]["volumeMounts"] = claims, points
    template["containers"][0]["env"] = [{"name": "HOME", "value": "/home/user"}]
    cluster.api.post("/apis/batch/v1/namespaces/batch/jobs", work)
    wait_for("the answer", lambda: (home / "answer").exists() and (home / "answer").read_text())


def test_sessions_get_each_kind_of_accelerator_and_no_more_than_there_are(
    cluster: Any, workbench: Any
) -> None:
    fpga = {"amd.com/xilinx_v70_gen5x8_qdma_base_2-0": 1}
    workbench.start_session("fpga", fpga, labels={"accelerator": "v70"})
    workbench.start_session("mig", {"nvidia.com/mig-1g.5gb": 1})

    cluster.api.post(SESSIONS, workloads.session("second-fpga", fpga))

    def unschedulable() -> Any:
        conditions = workbench.session("second-fpga")["status"].get("conditions", [])
        return next((c["message"] for c in conditions if c.get("reason") == "Unschedulable"), "")

    assert "Insufficient amd.com/xilinx_v70" in wait_for("the reason", unschedulable)
    workbench.end_session("fpga")
    wait_for("the second to run", lambda: is_running(workbench.session("second-fpga")))


def test_a_session_beyond_its_memory_is_ended(workbench: Any, cluster: Any) -> None:
    pod = workloads.session(
        "greedy", None, ("sh", "-c", "head -c 200m /dev/zero | tail -c 200m | wc -c; sleep 60")
    )
    pod["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1", "memory": "32Mi"}}
    pod["spec"]["containers"][0]["command"] = ["tail", "/dev/zero"]
    cluster.api.post(SESSIONS, pod)

    def reason() -> list[Any]:
        statuses = workbench.session("greedy")["status"].get("containerStatuses", [])
        return [s["state"]["terminated"]["reason"] for s in statuses if "terminated" in s["state"]]

    assert wait_for("its end", reason) == ["OOMKilled"]
