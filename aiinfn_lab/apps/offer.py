"""Which apps a session offers, and what else its server forwards to."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jupyter_server.utils import url_path_join
from jupyter_server_proxy import ServerProxyConfig, handlers
from jupyter_server_proxy.api import IconHandler, ServersInfoHandler
from jupyter_server_proxy.config import get_entrypoint_server_processes, make_handlers

from aiinfn_hub.contract.apps import VARIABLE, parse_apps

from .process import AppProcess, make_folder
from .proxy import PREFIX, AppServer, ClosedPortHandler

PROXY: Final = "jupyter_server_proxy"


class Apps:
    """The apps of this server.

    Parameters
    ----------
    home
        Where they start.
    environment
        Of this server; apps get it too, as kernels do.
    """

    def __init__(
        self, home: Path, base_url: str, environment: Mapping[str, str], log: logging.Logger
    ) -> None:
        self.processes: list[AppProcess] = []
        self._folder: Path | None = None
        told, problems = parse_apps(environment.get(VARIABLE, ""))
        for problem in problems:
            log.warning(problem)
        if not told:
            return
        try:
            self._folder = make_folder(environment)
        except OSError as error:
            log.error("No app is offered: %s", error)  # noqa: TRY400 - a sentence
            return
        for app in told:
            url = url_path_join(base_url, PREFIX, app.name)
            process = AppProcess(app, self._folder, url, home, log, environment)
            if program := process.missing():
                log.info("The app %s is not offered: there is no program %s here", app.name, program)
            else:
                self.processes.append(process)

    def servers(self) -> list[AppServer]:
        """Return jupyter-server-proxy's descriptions of them; blocks."""
        found = []
        for process in self.processes:
            icon = ""
            if process.app.icon:
                path = process.folder / f"{process.app.name}.svg"
                path.write_text(process.app.icon, encoding="utf-8")
                icon = str(path)
            found.append(AppServer(process, icon))
        return found

    async def close(self) -> None:
        """End them all."""
        await asyncio.gather(*(process.close() for process in self.processes))
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def install(server: Any, apps: Apps, *, ports: bool) -> None:
    """Add the apps to a Jupyter server, in place of jupyter-server-proxy's own extension.

    That one would reach any port of the machine, and with it what other people run there.

    Parameters
    ----------
    ports
        Whether it may do that here, and start what other packages bring that listens on ports.
    """
    extension = server.extension_manager.extensions.get(PROXY)
    if extension is not None:
        # Extensions are loaded in the order of their names: ours comes first.
        extension.enabled = False
    base_url, web_app = server.web_app.settings["base_url"], server.web_app
    config = ServerProxyConfig(parent=server)
    others = [*config.servers.values(), *get_entrypoint_server_processes()]
    if not ports:
        for each in others:
            if not each.unix_socket:
                server.log.info("%s is not offered: it listens on a port that others can reach", each.name)
        others = [each for each in others if each.unix_socket]
    servers = [*apps.servers(), *others]
    web_app.add_handlers(".*", make_handlers(base_url, servers))
    if ports:
        handlers.setup_handlers(web_app, config)
    else:
        web_app.add_handlers(".*", [(url_path_join(base_url, r"/proxy/.*"), ClosedPortHandler)])
    icons = {each.name: each.launcher_entry.icon_path for each in servers if each.launcher_entry.icon_path}
    web_app.add_handlers(
        ".*",
        [
            (
                url_path_join(base_url, "server-proxy/servers-info"),
                ServersInfoHandler,
                {"server_processes": servers},
            ),
            (url_path_join(base_url, "server-proxy/icon/(.*)"), IconHandler, {"icons": icons}),
        ],
    )
