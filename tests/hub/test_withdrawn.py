"""People who lose the access: their sessions are warned and end, their jobs are held, and both go on if it comes back."""

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.hub.stack import Iam, browser, wait_for
from tests.hub.test_auth_session import Place, hub_token
from tests.hub.test_auth_signin import eventually
from tests.hub.test_config_hub import session_of, started

JOBS = "/services/vkd/api/v1/jobs"


class Withdrawing(Place):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.iam = Iam(folder, self.hub.callback, 2)
        self.iam_section = {"withdrawn_grace": "5s"}
        self.write()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from Withdrawing(tmp_path_factory.mktemp("withdrawn")).running()


def vkd(
    place: Place, token: str, method: str, path: str, body: dict[str, Any] | None = None, status: int = 200
) -> Any:
    """Call vkd as a session does; gives the answer."""

    request = urllib.request.Request(
        f"http://127.0.0.1:{place.hub.vkd_port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        assert response.status == status
        return json.loads(response.read())


def submit(
    place: Place,
    session: psutil.Process,
    project: str,
    name: str,
    code: str,
    accelerator: str = "t4",
    count: int = 1,
) -> str:
    home = Path(session.environ()["HOME"])
    script = home / ".aiinfn" / "jobs" / name / "job.py"
    script.parent.mkdir(parents=True)
    script.write_text(code)
    work = {"kind": "script", "path": "job.py", "snapshot": f".aiinfn/jobs/{name}/job.py"}
    asked = {"work": work, "name": name, "project": project, "accelerator": accelerator, "count": count}
    return vkd(place, hub_token(session), "POST", JOBS, asked, 201)["id"]


def job(place: Place, watcher: psutil.Process, job_id: str) -> dict[str, Any]:
    return vkd(place, hub_token(watcher), "GET", f"{JOBS}/{job_id}")


def time_of(place: Place, who: str, token: str) -> tuple[int, dict[str, Any]]:
    return place.hub.api(f"/aiinfn/session-time/{who}", token=token)


def named_sessions(hub: Any, who: str) -> dict[str, psutil.Process]:
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            if environment.get("JUPYTERHUB_USER") == who and str(hub.hub_port) in environment.get(
                "JUPYTERHUB_API_URL", ""
            ):
                found[environment["JUPYTERHUB_SERVER_NAME"]] = process
    return found


async def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
def hub(place: Place) -> Any:
    return place.hub


async def test_a_session_of_revoked_tokens_is_warned_and_ends_unless_its_owner_signs_in_again(
    place: Place, hub: Any
) -> None:
    process = await started(hub, "ada")
    token = hub_token(process)
    assert time_of(place, "ada", token)[1]["refusal"]["reason"] != "forbidden"
    place.iam.admin("POST", "accounts/ada/revoke")

    async def warned() -> bool:
        # Refused everywhere else, the session's own token still reads when it ends.
        status, view = await asyncio.to_thread(time_of, place, "ada", token)
        assert status == 200
        return view["refusal"] is not None and view["refusal"]["reason"] == "forbidden"

    await eventually(warned, 30)
    _, view = time_of(place, "ada", token)
    assert view["refusal"]["message"] == "Sign in to the hub again to keep it."
    assert view["extension"] is None
    seconds = (parse(view["end"]) - parse(view["now"])).total_seconds()
    assert seconds <= 5
    assert view["warnings"][0] >= seconds
    assert hub.api("/user", token=token)[0] == 403
    async with browser(hub) as client:
        await client.sign_in("ada")
    await eventually(lambda: "The sessions of ada go on" in hub.log)
    assert process.is_running()

    async def calm() -> bool:
        _, view = await asyncio.to_thread(time_of, place, "ada", token)
        return view["refusal"]["reason"] != "forbidden"

    await eventually(calm)

    place.iam.admin("POST", "accounts/ada/revoke")
    await eventually(lambda: gone(process), 30)
    await eventually(lambda: not hub.api("/users/ada")[1]["servers"])
    async with browser(hub) as client:
        await client.sign_in("ada")
        page = await client.get("/user/ada/lab")
    assert "IAM did not confirm your sign-in any more, and you did not sign in again." in page.text


def parse(moment: str) -> Any:

    return datetime.fromisoformat(moment)


async def test_losing_one_project_ends_what_belongs_to_it_and_nothing_else(place: Place, hub: Any) -> None:
    async with browser(hub) as client:
        await client.sign_in("bruno")
        for server, project in (("flavour", "flavour"), ("medphys", "medphys")):
            options = {"user_options": {"project": project, "accelerator": "none"}}
            status, answer = hub.api(f"/users/bruno/servers/{server}", "POST", options)
            assert status in {201, 202}, answer
    wait_for(
        "both sessions run",
        lambda: [each["ready"] for each in hub.api("/users/bruno")[1]["servers"].values()] == [True, True],
        90,
    )
    # An operator's session looks at bruno's jobs.
    dora = await started(hub, "dora")
    sessions = named_sessions(hub, "bruno")
    sleep = "import time; print('up', flush=True); time.sleep(600)"
    one = submit(place, sessions["medphys"], "medphys", "runs-medphys", sleep)
    other = submit(place, sessions["flavour"], "flavour", "runs-flavour", sleep)
    waiting = submit(place, sessions["medphys"], "medphys", "waits-medphys", "print('done')")
    for running in (one, other):
        await eventually(lambda running=running: job(place, dora, running)["state"] == "running", 30)

    with place.iam.claims("bruno", groups=["ai-infn/flavour"]):
        await eventually(lambda: "left the project" in job(place, dora, waiting)["sentence"], 30)
        # Within the grace what runs goes on.
        assert job(place, dora, one)["state"] == "running"
        await eventually(lambda: gone(sessions["medphys"]), 30)
        await eventually(lambda: job(place, dora, one)["state"] == "queued", 30)
        assert "its owner left the project" in job(place, dora, one)["sentence"]
        # Its device is free, but neither of the two takes it.
        assert job(place, dora, waiting)["state"] == "queued"
        assert job(place, dora, other)["state"] == "running"
        assert sessions["flavour"].is_running()
        assert hub.api("/users/bruno")[1]["servers"]["flavour"]["ready"]

    await eventually(lambda: job(place, dora, one)["state"] == "running", 30)
    for running in (one, other):
        vkd(place, hub_token(dora), "POST", f"{JOBS}/{running}/cancel", status=202)
    await eventually(lambda: job(place, dora, waiting)["state"] == "succeeded", 30)
    assert "Traceback" not in hub.log


async def test_jobs_of_somebody_who_was_deleted_are_held(place: Place, hub: Any) -> None:
    process = await started(hub, "carla")
    dora = session_of(hub, "dora") or await started(hub, "dora")
    job_id = submit(place, process, "flavour", "of-carla", "import time; time.sleep(600)")
    await eventually(lambda: job(place, dora, job_id)["state"] == "running", 30)
    status, answer = hub.api("/users/carla", "DELETE")
    assert status == 204, answer
    await eventually(lambda: job(place, dora, job_id)["state"] == "queued", 30)
    assert "held" in job(place, dora, job_id)["sentence"]
    assert vkd(place, hub_token(dora), "POST", f"{JOBS}/{job_id}/cancel", status=202)["state"] in {
        "queued",
        "cancelled",
    }
