"""A real JupyterHub, as `aiinfn_hub.config` configures it, whose sessions are pods of the real cluster."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from yarl import URL

from aiinfn_hub.kube import names
from tests.cluster.harness import wait_for
from tests.cluster.kernels import execute
from tests.cluster.site import Site
from tests.hub.realhub import xsrf
from tests.hub.stack import Client, Hub, Iam, Seen

Json = dict[str, Any]
LOOK = 0.2
"""Seconds between two looks at a session; each costs the hub half a tenth of a second of a processor."""
NOW = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}


class ClusterHub(Hub):
    """The hub on this machine, with the service account of the hub; vkd beside it with its own."""

    def __init__(self, folder: Path, site: Site) -> None:
        super().__init__(folder, site.cluster.settings.gateway)
        self.site, self.cluster = site, site.cluster
        self.folder = folder
        self.pods_path = f"/api/v1/namespaces/{site.platform.kubernetes.sessions_namespace}/pods"

    def environment(self, iam: Iam | None, **more: str) -> dict[str, str]:
        known = {
            "AIINFN_PLATFORM": str(self.site.path),
            "KUBECONFIG": str(self.site.hub_kubeconfig),
            "AIINFN_VKD_KUBECONFIG": str(self.site.vkd_kubeconfig),
        }
        return super().environment(iam, **known, **more)

    # Over REST, as an operator's script

    def ask(self, who: str, server: str = "", **options: Any) -> tuple[int, Any]:
        """Ask for a session."""
        return self.api(_server(who, server), "POST", {"user_options": options})

    def model(self, who: str, server: str = "") -> Json:
        return self.api(f"/users/{who}")[1]["servers"].get(server, {})

    def start_session(self, who: str, server: str = "", **options: Any) -> float:
        """Seconds until the hub calls the session ready."""
        begin = time.monotonic()
        status, answer = self.ask(who, server, **options)
        assert status in {201, 202}, answer
        self.until_ready(who, server)
        return time.monotonic() - begin

    def until_ready(self, who: str, server: str = "", seconds: float = 90) -> None:
        def ready() -> bool:
            self.alive()
            model = self.model(who, server)
            assert model, f"the start ended:\n{self.told()}"
            return bool(model["ready"])

        wait_for(f"the session of {who}", ready, seconds, LOOK)

    def refused(self, who: str, server: str = "", seconds: float = 60, **options: Any) -> str:
        """Ask for a session that cannot start, and give what the person reads."""
        status, answer = self.ask(who, server, **options)
        if status not in {201, 202}:
            return answer["message"]
        wait_for("the end of the start", lambda: not self.model(who, server), seconds, LOOK)
        return "\n".join(self.told().splitlines()[-40:])

    def end_session(self, who: str, server: str = "") -> None:
        if self.model(who, server):
            self.api(_server(who, server), "DELETE")
        gone = lambda: not self.model(who, server) and not self.pod(who, server)  # noqa: E731
        wait_for("the session to go", gone, 60, LOOK)

    def told(self) -> str:
        """The log without requests and proxy."""
        return "\n".join(
            line for line in self.log.splitlines() if "ConfigProxy" not in line and " log:" not in line
        )

    # In the cluster

    def pods(self) -> list[Json]:
        return self.cluster.api.get(self.pods_path)["items"]

    def pod(self, who: str, server: str = "") -> Json | None:
        mark = names.slug(f"{who}/{server}" if server else who)
        found = [pod for pod in self.pods() if pod["metadata"]["labels"].get("ai.infn.it/session") == mark]
        assert len(found) <= 1
        return found[0] if found else None

    def clear(self) -> None:
        """End every session, and see that no pod is left."""
        for user in self.api("/users")[1]:
            for server in user["servers"]:
                self.end_session(user["name"], server)
        for pod in self.pods():
            self.cluster.api.delete(f"{self.pods_path}/{pod['metadata']['name']}", NOW)
        wait_for("pods to go", lambda: not self.pods())


class Lab:
    """JupyterLab in somebody's session, as the browser that opened it."""

    def __init__(self, client: Client, who: str) -> None:
        self.client, self.base = client, f"/user/{quote(who)}"

    async def open(self) -> str:
        """Open the page of JupyterLab."""
        page = await self.client.get(f"{self.base}/lab")
        assert page.status == 200, page.text
        return page.html

    async def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Call the session's server: its own API, or ``aiinfn-lab/``."""
        url = URL(self.client.hub.url + f"{self.base}/{path}", encoded=True)
        headers = {"X-XSRFToken": self._xsrf(), "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        async with self.client._session.request(method, url, data=data, headers=headers) as response:
            text = await response.text()
            assert response.status < 400, f"{response.status}: {text}"
            return json.loads(text) if "json" in response.content_type else text

    async def write(self, path: str, content: Any) -> None:
        """Save a file in the home, as JupyterLab does."""
        kind = "notebook" if path.endswith(".ipynb") else "file"
        body = {"type": kind, "format": "json" if kind == "notebook" else "text", "content": content}
        await self.ask(f"api/contents/{path}", "PUT", body)

    async def until(self, job: str, *states: str, seconds: float = 90) -> Json:
        """Wait until a job is in one of some states."""
        deadline = time.monotonic() + seconds
        while True:
            found = await self.ask(f"aiinfn-lab/jobs/{job}")
            if found["state"] in states:
                return dict(found)
            ended = found["state"] in {"succeeded", "failed", "cancelled"}
            assert not ended, await self.ask(f"aiinfn-lab/jobs/{job}/events")
            assert time.monotonic() < deadline, found
            await asyncio.sleep(LOOK)

    async def start_kernel(self, path: str) -> str:
        """Start a kernel for a notebook, and give its id."""
        body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        return str((await self.ask("api/sessions", "POST", body))["kernel"]["id"])

    async def run(self, kernel: str, code: str) -> str:
        """Run a cell in a kernel, and give what it prints."""
        url = URL(self.client.hub.url + f"{self.base}/api/kernels/{kernel}/channels", encoded=True)
        cookies = self.client._session.cookie_jar.filter_cookies(url)
        headers = [
            "Sec-Fetch-Mode: websocket",
            "Cookie: " + "; ".join(f"{each.key}={each.coded_value}" for each in cookies.values()),
        ]
        printed = await asyncio.to_thread(execute, str(url.with_scheme("ws")), headers, code)
        # The server hears a moment after the browser that the kernel is idle again.
        deadline = time.monotonic() + 30
        while (await self.ask(f"api/kernels/{kernel}"))["execution_state"] != "idle":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        return printed

    def _xsrf(self) -> str:
        jar = self.client._session.cookie_jar
        return next(
            (each.value for each in jar if each.key == "_xsrf" and each["path"].startswith(self.base)), ""
        )


def notebook_of(*cells: str | NotebookNode) -> NotebookNode:
    """Make a notebook for Python of cells of code."""
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    return new_notebook(cells=made, metadata={"kernelspec": spec})


async def post_form(client: Client, fields: dict[str, str]) -> Seen:
    """Send the options form, and follow to the page that comes."""
    http = client._session
    data = fields | {"_xsrf": xsrf(http)}
    async with http.post(f"{client.hub.url}/hub/spawn", data=data) as response:
        return Seen(response.status, str(response.url), await response.text())


@contextlib.contextmanager
def cluster_hub(folder: Path, site: Site, patience: int = 60) -> Iterator[tuple[ClusterHub, Iam]]:
    """Run IAM, the hub and vkd; ``patience``: seconds until a session is given up whose node does not answer."""
    folder.mkdir(parents=True, exist_ok=True)
    hub = ClusterHub(folder, site)
    iam = Iam(folder, hub.callback)
    try:
        iam.start()
        hub.start(iam, TEST_NODE_PATIENCE=str(patience))
        yield hub, iam
        hub.clear()
    finally:
        hub.stop()
        iam.stop()


def _server(who: str, server: str) -> str:
    return f"/users/{quote(who)}/" + (f"servers/{quote(server)}" if server else "server")
