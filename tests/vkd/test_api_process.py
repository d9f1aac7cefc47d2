"""vkd as the hub runs it: a process of its own, with the local back end and real jobs."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import yaml

from aiinfn_hub.host.accounts import Accounts
from tests.vkd.world import PLATFORM, TICKET_KEY, Client, Hub, free_port, until, vkd_environment


@dataclass
class Host:
    """A machine on which vkd is started, killed and started again."""

    folder: Path
    hub: Hub
    http: aiohttp.ClientSession
    port: int
    process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        return (self.folder / "vkd.log").read_text()

    def client(self, name: str) -> Client:
        return Client(self.http, f"http://127.0.0.1:{self.port}", f"token-{name}")

    async def start(self, wait: bool = True, **environment: Any) -> None:
        (self.folder / "platform.yaml").write_text(environment.pop("platform", yaml.safe_dump(PLATFORM)))
        with (self.folder / "vkd.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "aiinfn_hub.vkd",
                stderr=log,
                stdout=log,
                start_new_session=True,
                env={
                    **os.environ,
                    **vkd_environment(self.folder, self.hub.url, self.port),
                    **environment,
                },
            )
        if wait:
            await until(self.healthy, "vkd is healthy", seconds=40)

    async def healthy(self) -> bool:
        assert self.process.returncode is None, self.log
        try:
            async with self.http.get(f"http://127.0.0.1:{self.port}/services/vkd/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def end(self, how: Any = signal.SIGTERM) -> Any:
        self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), 20)

    def write(self, name: str, path: str, text: Any) -> dict[str, Any]:
        """Put a script into somebody's home, and the copy of it that is executed; gives the request for it."""
        home = Accounts(self.folder / "data").get(name).home
        for place in (path, f".aiinfn/jobs/s/{path}"):
            (home / place).parent.mkdir(parents=True, exist_ok=True)
            (home / place).write_text(text)
        return {"work": {"kind": "script", "path": path, "snapshot": f".aiinfn/jobs/s/{path}"}}

    def processes(self) -> list[Any]:
        """Everything that runs in this host's data folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                words = " ".join([*process.cmdline(), process.cwd()])
                if str(self.folder) in words and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    hub = Hub()
    async with hub.run(), aiohttp.ClientSession() as http:
        host = Host(tmp_path, hub, http, free_port())
        try:
            yield host
        finally:
            if host.process and host.process.returncode is None:
                await host.end(signal.SIGKILL)
            for process in host.processes():
                with contextlib.suppress(psutil.Error):
                    process.kill()


async def reaches(client: Client, job_id: str, state: str, seconds: int = 40) -> Any:
    async def there() -> Any:
        try:
            job = await client.get(f"/jobs/{job_id}")
        except aiohttp.ClientError:
            return None
        return job if job["state"] == state else None

    return await until(there, f"{job_id} is {state}", seconds)


async def test_a_real_job_runs_prints_and_leaves_its_result(host: Host) -> None:
    await host.start()
    anna = host.client("anna")
    request = host.write("anna", "work/hello.sh", "echo devices: $CUDA_VISIBLE_DEVICES; echo arguments: $1\n")
    request["work"]["arguments"] = ["a b"]
    job = await anna.post("/jobs", {**request, "accelerator": "t4"})
    async with anna.stream(f"/jobs/{job['id']}/logs?follow=1") as answer:
        log = (await asyncio.wait_for(answer.read(), 40)).decode()
    assert "arguments: a b" in log
    done = await reaches(anna, job["id"], "succeeded")
    assert (done["sentence"], done["attempt"], done["exit_code"], done["simulated"]) == (
        "Finished",
        1,
        0,
        True,
    )
    home = Accounts(host.folder / "data").get("anna").home
    assert (home / done["output"]).is_file()
    events = await anna.get(f"/jobs/{job['id']}/events")
    assert [event["state"] for event in events] == ["queued", "starting", "running", "succeeded"]
    (entry,) = (await anna.get("/usage"))["entries"]
    assert 0 < entry["device_seconds"] < 60


async def test_killing_vkd_loses_no_job_and_runs_none_twice(host: Host) -> None:
    await host.start()
    anna = host.client("anna")
    order = host.folder / "order"
    hold = host.folder / "hold"
    hold.touch()
    jobs = []
    for number in range(4):
        request = host.write(
            "anna", f"job{number}.sh", f"echo {number} >> {order}\nwhile [ -e {hold} ]; do sleep 0.05; done\n"
        )
        jobs.append((await anna.post("/jobs", {**request, "accelerator": "v70"}))["id"])
    await reaches(anna, jobs[0], "running")
    await host.end(signal.SIGKILL)
    hold.unlink()
    await host.start()
    for job_id in jobs:
        assert (await reaches(anna, job_id, "succeeded"))["attempt"] == 1
    assert order.read_text().split() == ["0", "1", "2", "3"]
    assert "illegal transition" not in host.log


@pytest.mark.parametrize("moment", [0.0, 0.2])
async def test_vkd_killed_just_after_it_took_a_job_still_runs_it(host: Host, moment: float) -> None:
    await host.start()
    anna = host.client("anna")
    order = host.folder / "order"
    jobs = [
        (await anna.post("/jobs", host.write("anna", f"j{i}.sh", f"echo {i} >> {order}\n")))["id"]
        for i in range(3)
    ]
    await asyncio.sleep(moment)
    await host.end(signal.SIGKILL)
    await host.start()
    for job_id in jobs:
        await reaches(anna, job_id, "succeeded")
    assert sorted(order.read_text().split()) == ["0", "1", "2"]
    assert "illegal transition" not in host.log


async def test_stopping_vkd_is_quick_and_jobs_go_on(host: Host) -> None:
    await host.start()
    anna = host.client("anna")
    hold = host.folder / "hold"
    hold.touch()
    request = host.write(
        "anna", "wait.sh", f"echo begun\nwhile [ -e {hold} ]; do sleep 0.05; done\necho over\n"
    )
    job_id = (await anna.post("/jobs", request))["id"]
    await reaches(anna, job_id, "running")
    async with anna.stream(f"/jobs/{job_id}/logs?follow=1") as answer:
        await answer.content.readline()
        assert await host.end() == 0
        # The stream ended by itself, so that nobody had to wait for it.
        assert "graceful shutdown exceeded" not in host.log
        await answer.read()
    assert host.processes()
    hold.unlink()
    await host.start()
    assert (await reaches(anna, job_id, "succeeded"))["attempt"] == 1
    async with anna.stream(f"/jobs/{job_id}/logs") as answer:
        assert "over" in (await answer.read()).decode()


async def test_the_demonstration_leaves_no_process_and_its_jobs_wait_for_the_next_time(host: Host) -> None:
    await host.start(AIINFN_JOBS_END_WITH_VKD="1")
    anna = host.client("anna")
    hold = host.folder / "hold"
    hold.touch()
    request = host.write("anna", "wait.sh", f"while [ -e {hold} ]; do sleep 0.05; done\n")
    job_id = (await anna.post("/jobs", request))["id"]
    await reaches(anna, job_id, "running")
    assert await host.end() == 0
    assert host.processes() == []
    hold.unlink()
    await host.start()
    job = await reaches(anna, job_id, "succeeded")
    assert job["attempt"] == 2
    causes = [event["cause"] for event in await anna.get(f"/jobs/{job_id}/events")]
    assert "interrupted" in causes


async def test_a_session_makes_a_job_give_way_and_the_job_comes_back(host: Host) -> None:
    await host.start()
    anna, hub = host.client("anna"), host.client("hub")
    hold = host.folder / "hold"
    hold.touch()
    request = host.write("anna", "wait.sh", f"while [ -e {hold} ]; do sleep 0.05; done\n")
    job_id = (await anna.post("/jobs", {**request, "accelerator": "v70"}))["id"]
    await reaches(anna, job_id, "running")
    claim = {
        "owner": "bruno",
        "project": "medical",
        "accelerator": "v70",
        "count": 1,
        "until": "2099-01-01T00:00:00Z",
    }
    _, made = await hub.ask("PUT", "/claims/bruno", status=200, json=claim)
    assert made["state"] == "making_room"

    async def granted() -> bool:
        return (await hub.get("/claims/bruno"))["state"] == "granted"

    await until(granted, "the session got its device", seconds=6)
    job = await reaches(anna, job_id, "queued")
    assert job["sentence"] == "Made room for a session; waiting again, next in line in Opportunistic"
    assert job["preemptions"] == 1
    hold.unlink()
    await hub.ask("DELETE", "/claims/bruno", status=204)
    assert (await reaches(anna, job_id, "succeeded"))["attempt"] == 2


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"platform": "imagse: {}\nprojects: {}\n"}, "imagse"),
        ({"AIINFN_PLATFORM": "/nowhere/platform.yaml"}, "/nowhere/platform.yaml"),
        ({"JUPYTERHUB_SERVICE_URL": "not an address"}, "JUPYTERHUB_SERVICE_URL"),
        ({"AIINFN_VKD_DATABASE": "sqlite+aiosqlite:////proc/nowhere/vkd.sqlite"}, "/proc/nowhere"),
    ],
)
async def test_vkd_that_cannot_start_says_why_in_one_line(
    host: Host, environment: dict[str, Any], words: str
) -> None:
    await host.start(wait=False, **environment)
    assert await asyncio.wait_for(host.process.wait(), 30) == 2
    assert words in host.log
    assert "Traceback" not in host.log


async def test_a_second_vkd_on_the_same_data_waits_and_then_gives_up(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiinfn_hub.vkd import __main__ as start
    from aiinfn_hub.vkd.settings import SettingsError

    await host.start()
    monkeypatch.setattr(start, "_PATIENCE", 0.2)
    with pytest.raises(SettingsError, match="another vkd works on"):
        await asyncio.to_thread(start._alone, host.folder / "data")
    await host.end()
    os.close(await asyncio.to_thread(start._alone, host.folder / "data"))


async def test_neither_tokens_nor_keys_get_into_the_log_of_the_process(host: Host) -> None:
    await host.start(JUPYTERHUB_API_TOKEN="the-own-token")
    await host.client("anna").get("/platform")
    await host.client("anna").get("/availability?ticket=abc.def.ghi", status=401)
    await host.end()
    for secret in ("token-anna", "the-own-token", TICKET_KEY, "abc.def"):
        assert secret not in host.log
