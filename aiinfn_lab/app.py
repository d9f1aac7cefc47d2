"""The server extension: documented settings, and nothing else."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Float, Integer, Unicode, default

from aiinfn_hub.contract.apps import OPEN, PORT_PROXY
from aiinfn_lab.apps.offer import Apps, install
from aiinfn_lab.cleanup.collector import HomeGarbageCollector
from aiinfn_lab.session.end import HubClient
from aiinfn_lab.session.environment import Session
from aiinfn_lab.session.terminal import shell_command
from aiinfn_lab.vkd_client import Vkd

from .catalogue import translate_schema
from .handlers import routes
from .kernels.offer import guard, left_out
from .paths import Places
from .services import SETTING, LabServices


class AiinfnLab(ExtensionApp):
    """Submits notebooks and scripts of this server's home as batch jobs, through vkd."""

    name = "aiinfn_lab"

    vkd_url = Unicode(
        help="Root address of vkd, for example http://127.0.0.1:8082/services/vkd. Default: $AIINFN_VKD_URL."
    ).tag(config=True)
    timeout = Float(20.0, min=0.1, help="Seconds to wait for an answer of vkd.").tag(config=True)
    connect_timeout = Float(3.0, min=0.1, help="Seconds to wait for a connection to vkd.").tag(config=True)
    largest_input = Integer(
        50 * 2**20, min=1, help="Bytes that a notebook or script may have to be submitted. Default: 50 MiB."
    ).tag(config=True)
    largest_state = Integer(
        4 * 2**30,
        min=1,
        help="Bytes that the variables of a kernel may have to be carried to a job. Default: 4 GiB.",
    ).tag(config=True)
    most_followed = Integer(8, min=1, help="Logs that may be followed at once.").tag(config=True)
    port_proxy = Bool(
        help="Whether /proxy/PORT reaches programs that listen on ports. Default: where $AIINFN_PORT_PROXY is open, as in pods. "
        "On a machine with more people it would reach theirs, and hand them this session's cookies."
    ).tag(config=True)

    @default("vkd_url")
    def _default_vkd_url(self) -> str:
        return os.environ.get("AIINFN_VKD_URL", "")

    @default("port_proxy")
    def _default_port_proxy(self) -> bool:
        return os.environ.get(PORT_PROXY) == OPEN

    def initialize_settings(self) -> None:
        """Make what the handlers share: the two folders, the session, and the one client."""
        translate_schema()
        offered = self.settings["kernel_spec_manager"] = guard(self._server())
        self._show_left_out(left_out(offered))
        server = self._server()
        if "shell_command" not in server.terminado_settings and (command := shell_command()):
            server.terminado_settings = {**server.terminado_settings, "shell_command": command}
        # The token is no setting: settings are shown by `jupyter server --show-config`.
        vkd = Vkd(
            self.vkd_url,
            os.environ.get("JUPYTERHUB_API_TOKEN", ""),
            timeout=self.timeout,
            connect_timeout=self.connect_timeout,
        )
        session = Session.from_environment(os.environ)
        self._show_end(session.end, session.certain_until)
        places = Places.find(server.root_dir)
        self.services = self.settings[SETTING] = LabServices(
            vkd=vkd,
            hub=HubClient.from_environment(os.environ),
            session=session,
            places=places,
            tidy=HomeGarbageCollector(vkd, places.home, self.log),
            largest_input=self.largest_input,
            largest_state=self.largest_state,
            most_followed=self.most_followed,
            know_end=self.know_end,
        )

    def initialize_handlers(self) -> None:
        """Add the routes below ``aiinfn-lab/``, and the apps of the platform."""
        self.handlers.extend(routes())
        server = self._server()
        base_url = server.web_app.settings["base_url"]
        self.apps = Apps(self.services.places.home, base_url, dict(os.environ), self.log)
        install(server, self.apps, ports=self.port_proxy)

    async def stop_extension(self) -> None:
        """End the apps, and close the connections to vkd and to the hub."""
        await asyncio.gather(self.apps.close(), self.services.tidy.stop())
        await asyncio.gather(self.services.vkd.close(), self.services.hub.close())

    def know_end(self, answer: Any) -> None:
        """Give pages that are opened from now on what the hub said of the session's end."""
        end, extends = answer.get("end"), answer.get("extends_at")
        if isinstance(end, str):
            self._show_end(end, extends if isinstance(extends, str) else None)

    def _show_end(self, end: str | None, certain_until: str | None) -> None:
        """Put it into JupyterLab's page, whose script need not ask for it then."""
        if end is not None:
            page = self._server().web_app.settings.setdefault("page_config_data", {})
            page["aiinfnSession"] = {"end": end, "certainUntil": certain_until or ""}

    def _show_left_out(self, kernels: list[str]) -> None:
        """Let JupyterLab's page say which kernels are not offered."""
        if kernels:
            page = self._server().web_app.settings.setdefault("page_config_data", {})
            page["aiinfnKernelsLeftOut"] = {"names": kernels}

    def _server(self) -> Any:
        assert self.serverapp is not None  # noqa: S101 - set before, and the type says Optional
        return self.serverapp
