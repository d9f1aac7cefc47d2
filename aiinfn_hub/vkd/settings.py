"""What vkd takes from its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiinfn_hub.host.accounts import default_data
from aiinfn_hub.host.private_files import read_secrets
from aiinfn_hub.platform.loading import loader


class SettingsError(Exception):
    """vkd cannot start with this environment; the message says what to set."""


@dataclass(frozen=True, slots=True)
class VkdSettings:
    """How one vkd process runs.

    Attributes
    ----------
    prefix
        Path under which the hub's proxy forwards to vkd, without a trailing slash.
    hub_api
        The hub's REST API, asked who a token belongs to.
    kubeconfig
        Logs vkd in to Kubernetes; None: ``KUBECONFIG``, else the service account of the pod this runs in.
    ticket_key
        Signs the tickets with which a form reads availability; None refuses them all.
    end_jobs
        Stop running jobs with vkd, so that ending the demonstration leaves no process behind.
    open_metrics
        Whether the figures for Prometheus need no token.
    """

    platform: Path
    data: Path
    database: str = field(repr=False)  # a PostgreSQL URL may hold a password
    host: str = "127.0.0.1"
    port: int = 8082
    prefix: str = "/services/vkd"
    service_name: str = "vkd"
    hub_api: str = "http://127.0.0.1:8081/hub/api"
    kubeconfig: Path | None = None
    ticket_key: str | None = field(default=None, repr=False)
    end_jobs: bool = False
    open_metrics: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> VkdSettings:
        """Read the settings from environment variables.

        Raises
        ------
        SettingsError
            If the address to listen on cannot be understood.
        """
        data = default_data()
        if hidden := environment.get("AIINFN_VKD_SECRETS"):
            try:
                environment = read_secrets(Path(hidden)) | dict(environment)
            except (OSError, ValueError) as error:
                raise SettingsError(f"AIINFN_VKD_SECRETS names {hidden!r}, which cannot be read.") from error
        address = environment.get("JUPYTERHUB_SERVICE_URL") or (
            f"http://127.0.0.1:{environment.get('AIINFN_VKD_PORT') or 8082}"
        )
        try:
            url = urlsplit(address)
            host, port = url.hostname, url.port
        except ValueError:
            host = port = None
        if not host or not port:
            raise SettingsError(
                "JUPYTERHUB_SERVICE_URL must be the address to listen on, for example http://127.0.0.1:8082."
            )
        return cls(
            platform=loader.default_path(),
            data=data,
            database=environment.get("AIINFN_VKD_DATABASE")
            or f"sqlite+aiosqlite:///{data / 'vkd' / 'vkd.sqlite'}",
            host=host,
            port=port,
            prefix=(environment.get("JUPYTERHUB_SERVICE_PREFIX") or "/services/vkd").rstrip("/"),
            service_name=environment.get("JUPYTERHUB_SERVICE_NAME") or "vkd",
            hub_api=(environment.get("JUPYTERHUB_API_URL") or "http://127.0.0.1:8081/hub/api").rstrip("/"),
            # Not KUBECONFIG alone: the hub, which starts vkd, has one of its own there.
            kubeconfig=Path(kubeconfig) if (kubeconfig := environment.get("AIINFN_VKD_KUBECONFIG")) else None,
            ticket_key=environment.get("AIINFN_TICKET_KEY") or None,
            end_jobs=environment.get("AIINFN_JOBS_END_WITH_VKD") == "1",
            open_metrics=environment.get("AIINFN_METRICS_PUBLIC") == "1",
        )


def from_environment() -> VkdSettings:
    """Read the settings of this process."""
    return VkdSettings.of(os.environ)
