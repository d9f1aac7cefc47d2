"""What other people of the machine reach of somebody's session: nothing."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import textwrap
import uuid
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from aiinfn_hub.host.accounts import Accounts
from tests.hub.realhub import RealHub, processes_of, real_hub

# ruff: noqa: ASYNC240 - what is in /proc and on this disk is read at once
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give people a uid each")

ATTACK = r"""
import json, os, socket, sys, urllib.request, urllib.error
import zmq
found = []
told = json.load(sys.stdin)
context = zmq.Context()
listeners = {}
for address in told["addresses"]:
    listener = context.socket(zmq.SUB)
    listener.subscribe = b""
    listener.connect(address)
    listeners[address] = listener
poller = zmq.Poller()
for listener in listeners.values():
    poller.register(listener, zmq.POLLIN)
print("ready", flush=True)
for address in told["addresses"]:
    # What a shell or control channel answers even to a message with a wrong signature would show here.
    asking = context.socket(zmq.DEALER)
    asking.linger = 0
    asking.connect(address)
    poller.register(asking, zmq.POLLIN)
    header = {"msg_id": "1", "msg_type": "kernel_info_request", "session": "1", "username": "", "version": "5.3", "date": "2026-01-01T00:00:00Z"}
    asking.send_multipart([b"<IDS|MSG>", b"", json.dumps(header).encode(), b"{}", b"{}", b"{}"])
for _ in range(40):
    for listener, _event in poller.poll(100):
        parts = listener.recv_multipart()
        found.append(["zmq", [p.decode(errors="replace") for p in parts]])
for path in told["sockets"]:
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect("\0" + path[1:] if path.startswith("@") else path)
            found.append(["unix", path])
        except OSError:
            pass
for port in told["ports"]:
    for path in told["paths"]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                found.append(["http", path, answer.url, answer.read().decode(errors="replace")[:2000]])
        except Exception:
            pass
for folder in told["folders"]:
    for here, folders, files in os.walk(folder):
        found.append(["folder", here, files])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with real_hub(vkd=False) as running:
        yield running


class Kernel:
    """A kernel of somebody's session, as JupyterLab uses it."""

    def __init__(self, hub: RealHub, user: str, http: aiohttp.ClientSession) -> None:
        self.url = f"{hub.url}/user/{user}"
        self.http = http
        self.id = ""

    async def start(self, name: str = "python3") -> None:
        async with self.http.post(f"{self.url}/api/kernels", json={"name": name}) as answer:
            assert answer.status == 201, await answer.text()
            self.id = (await answer.json())["id"]

    async def run(self, code: str) -> str:
        """Return what some code prints, or its error."""
        return "".join(
            [
                part
                async for part in self.talk(
                    "shell",
                    "execute_request",
                    {
                        "code": code,
                        "silent": False,
                        "store_history": False,
                        "user_expressions": {},
                        "allow_stdin": False,
                    },
                )
            ]
        )

    async def talk(self, channel: str, kind: str, content: dict[str, Any]) -> AsyncIterator[str]:
        identity = uuid.uuid4().hex
        async with self.http.ws_connect(
            f"{self.url}/api/kernels/{self.id}/channels?session_id={identity}"
        ) as ws:
            header = {
                "msg_id": identity,
                "msg_type": kind,
                "session": identity,
                "username": "",
                "version": "5.3",
            }
            await ws.send_json(
                {
                    "channel": channel,
                    "header": header,
                    "parent_header": {},
                    "metadata": {},
                    "content": content,
                }
            )
            async with asyncio.timeout(90):
                async for message in ws:
                    told = json.loads(message.data)
                    if told["parent_header"].get("msg_id") != identity:
                        continue
                    if told["msg_type"] == "stream":
                        yield told["content"]["text"]
                    elif told["msg_type"] == "error":
                        yield f"{told['content']['ename']}: {told['content']['evalue']}"
                    elif told["msg_type"] == kind.replace("request", "reply") and channel == "control":
                        yield json.dumps(told["content"])
                        return
                    elif (
                        told["msg_type"] == "status"
                        and told["content"]["execution_state"] == "idle"
                        and channel == "shell"
                    ):
                        return


@contextlib.asynccontextmanager
async def kernel_of(hub: RealHub, user: str, name: str = "python3") -> AsyncIterator[Kernel]:
    headers = {"Authorization": f"token {hub.settings['admin_token']}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        kernel = Kernel(hub, user, http)
        await kernel.start(name)
        yield kernel


def listening(home: Path, only: Collection[int] = ()) -> tuple[set[int], list[str]]:
    """Return the TCP ports and the Unix sockets on which anything of a session listens."""
    ports, sockets = set(), []
    inodes = set()
    for process in processes_of(home):
        if only and process.pid not in only:
            continue
        with contextlib.suppress(OSError, psutil.Error):
            for entry in Path(f"/proc/{process.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(entry.readlink())
                    if target.startswith("socket:["):
                        inodes.add(target[8:-1])
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[6] in inodes and len(fields) > 7:
            sockets.append(fields[7])
    return ports, sockets


def pipes(home: Path) -> set[int]:
    """Return the ports on which kernels take the output of forked processes: only with a word that they alone know."""
    kernels = [each.pid for each in processes_of(home) if "ipykernel_launcher" in each.cmdline()]
    found, _ = listening(home, kernels)
    assert len(found) <= len(kernels)
    return found


@pytest.fixture
async def session(hub: RealHub) -> AsyncIterator[Path]:
    await hub.begin("ada", {})
    await hub.ready("ada")
    yield hub.data / "homes/ada"
    await hub.end_session("ada")


async def test_nobody_else_on_the_machine_reads_a_sessions_kernel(hub: RealHub, session: Path) -> None:
    secret = f"unblinded-{uuid.uuid4().hex}"
    async with kernel_of(hub, "ada") as kernel:
        assert await kernel.run("print(6 * 7)") == "42\n"
        ports, sockets = listening(session)
        kernels = [path for path in sockets if "/k" in path]
        assert len(kernels) >= 5, "the kernel's own sockets were looked for in the wrong place"
        (server,) = ports - pipes(session)
        runtime = Path(kernels[0]).parent
        assert runtime.stat().st_mode & 0o777 == 0o700
        assert all(len(path) <= 107 for path in sockets)
        ben = Accounts(hub.data).get("ben")
        assert ben.uid != session.stat().st_uid
        told: dict[str, Any] = {
            "addresses": [f"tcp://127.0.0.1:{port}" for port in ports]
            + [f"ipc://{path}" for path in kernels],
            "sockets": sockets,
            "ports": [server],
            "paths": [
                f"/user/ada{path}"
                for path in (
                    "/api/kernels",
                    "/api/contents",
                    "/api/sessions",
                    "/lab",
                    "/terminals/websocket/1",
                    "/metrics",
                    "/api/me",
                )
            ],
            # A hub that was killed, and whose data are gone, may have left one of a former owner of the uid.
            "folders": [
                str(session),
                *(str(each) for each in runtime.parent.glob("*") if each.stat().st_uid != ben.uid),
            ],
        }
        assert str(runtime) in told["folders"]
        attack = await asyncio.to_thread(
            subprocess.Popen,  # type: ignore[arg-type]
            [sys.executable, "-P", "-c", textwrap.dedent(ATTACK)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={"PATH": os.defpath},
            **ben.process_options(),
        )
        assert attack.stdin is not None
        assert attack.stdout is not None
        attack.stdin.write(json.dumps(told).encode())  # type: ignore[arg-type]
        attack.stdin.close()
        assert await asyncio.to_thread(attack.stdout.readline) == b"ready\n"  # type: ignore[comparison-overlap]
        printed = await kernel.run(
            f"import time\nfor _ in range(20): print('{secret}', flush=True); time.sleep(0.1)"
        )
        assert printed.count(secret) == 20
        answer = await asyncio.to_thread(attack.stdout.read)
        attack.wait()
        attack.stdout.close()
    assert attack.returncode == 0
    read = json.loads(answer)
    assert [each for each in read if each[0] != "http"] == []
    for _, path, url, text in read:
        # It is sent to the hub, to sign in, and not one byte of the session is in the answer.
        assert "/hub/" in url, (path, url, text)
        assert secret not in text


async def test_the_debugger_of_a_kernel_opens_no_port_for_everybody(hub: RealHub, session: Path) -> None:
    async with kernel_of(hub, "ada") as kernel:
        assert await kernel.run("print(1)") == "1\n"
        begin = {
            "type": "request",
            "seq": 1,
            "command": "initialize",
            "arguments": {"clientID": "x", "adapterID": "", "pathFormat": "path"},
        }
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                async for _ in kernel.talk("control", "debug_request", begin):
                    pass
        assert await kernel.run("import debugpy; print(debugpy.__name__)") == "debugpy\n", (
            "it is the person's to use"
        )
        assert len(listening(session)[0] - pipes(session)) == 1
        async with kernel.http.get(f"{kernel.url}/api/kernelspecs") as answer:
            specs = (await answer.json())["kernelspecs"]
    assert specs["python3"]["spec"]["metadata"]["debugger"] is False


async def test_a_kernel_that_everybody_could_listen_to_is_not_offered_and_that_is_said(hub: RealHub) -> None:
    ben = Accounts(hub.data).get("ben")
    session = ben.home
    kernels = session / ".local/share/jupyter/kernels"
    for folder in (kernels / "loud", kernels / "closed"):
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(
            json.dumps(
                {"argv": ["loud-kernel", "{connection_file}"], "display_name": "Loud 1.0", "language": "loud"}
            )
        )
    local = session / ".local"
    for path in (local, *local.rglob("*")):
        os.chown(path, ben.uid, ben.gid)  # type: ignore[arg-type]
    os.chown(kernels / "closed", 0, 0)
    (kernels / "closed").chmod(0o700)
    await hub.begin("ben", {})
    await hub.ready("ben")
    headers = {"Authorization": f"token {hub.settings['admin_token']}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        url = f"{hub.url}/user/ben"
        async with http.get(f"{url}/api/kernelspecs") as answer:
            assert set((await answer.json())["kernelspecs"]) == {"python3"}
        for path, body in (  # type: ignore[assignment]
            ("kernels", {"name": "loud"}),
            ("sessions", {"name": "x", "path": "x.ipynb", "type": "notebook", "kernel": {"name": "loud"}}),
        ):
            async with http.post(f"{url}/api/{path}", json=body) as answer:
                assert answer.status in {500, 501}
                said = await answer.json()
                assert "others who work here could read its code and results" in said["message"], (path, said)
        async with http.post(f"{url}/api/kernels", json={"name": "closed"}) as answer:
            assert answer.status == 404
            assert "no kernel “closed” that this server can read" in (await answer.json())["message"]
        async with http.get(f"{url}/lab") as page:
            config = json.loads(
                re.search(  # type: ignore[index]
                    r'id="jupyter-config-data" type="application/json">(.*?)</script>',
                    await page.text(),
                    re.S,
                )[1]
            )
            assert config["aiinfnKernelsLeftOut"] == {"names": ["Loud 1.0"]}
    await hub.end_session("ben")
    log = (session / ".aiinfn/session.log").read_text()
    assert "The kernel “Loud 1.0” is not offered on this machine" in log
    assert "Traceback" not in log


async def test_a_sessions_runtime_folder_goes_with_it(hub: RealHub) -> None:
    await hub.begin("cleo", {})
    await hub.ready("cleo")
    home = hub.data / "homes/cleo"
    server = next(each for each in processes_of(home) if "aiinfn_lab.singleuser" in each.cmdline())
    runtime = Path(server.environ()["XDG_RUNTIME_DIR"])
    assert runtime.is_dir()
    assert runtime.stat().st_uid == home.stat().st_uid
    async with kernel_of(hub, "cleo") as kernel:
        assert await kernel.run("import os; print(os.environ['JUPYTER_RUNTIME_DIR'])") == f"{runtime}\n"
    await hub.end_session("cleo")
    assert not runtime.exists()
