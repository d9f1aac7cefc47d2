"""The hub's configuration on Kubernetes: where pods reach it, who runs vkd, and with which rights."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from aiinfn_hub.kube.objects.rbac import HUB, VKD
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.spawner.context import SpawnContext

from .environment import ConfigurationError, url

POD_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""There in a pod that has a service account."""
SESSION_POLL: Final = 5
"""Seconds between two looks at whether a session still runs and is within its time; the cluster is not asked for it."""
HTTP_TIMEOUT: Final = 60
"""Seconds that JupyterLab may take to answer once its container runs."""
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - pods must reach the hub, and the address of its own pod is nobody's choice


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What the environment says about a hub on Kubernetes.

    Attributes
    ----------
    connect
        Address at which pods reach the hub, and vkd where the hub starts it.
    bind
        Address on which both listen.
    vkd_url
        Of a vkd that runs in a pod of its own, without the prefix; None if the hub starts it.
    vkd_kubeconfig
        With which a vkd that the hub starts logs in: the hub's own rights are not enough for it, and its rights are more
        than the hub should have.
    """

    connect: str
    bind: str
    vkd_url: str | None
    vkd_kubeconfig: Path | None

    @classmethod
    def of(cls, environment: Mapping[str, str], platform: Platform) -> Self:
        """Read the settings.

        Raises
        ------
        ConfigurationError
            Naming the variable.
        """
        if not environment.get("KUBECONFIG") and not POD_ACCOUNT.exists():
            raise ConfigurationError(
                f"Set KUBECONFIG to a kubeconfig of the service account {HUB}, or run the hub in a pod that has it."
            )
        namespace = platform.kubernetes.system_namespace
        connect = (
            environment.get("AIINFN_HUB_CONNECT_IP")
            or platform.kubernetes.hub_connect_ip
            or f"{HUB}.{namespace}"  # the hub's Service
        )
        vkd_url = url(environment, "AIINFN_VKD_URL")
        return cls(
            connect=connect,
            bind=environment.get("AIINFN_HUB_BIND_IP") or (connect if _is_address(connect) else EVERYWHERE),
            vkd_url=vkd_url.rstrip("/") if vkd_url else None,
            vkd_kubeconfig=None if vkd_url else _vkd_kubeconfig(environment),
        )


def configure_sessions(c: Any, settings: ClusterSettings, platform: Platform, context: SpawnContext) -> None:
    """Let sessions be pods."""
    # Imported here: with the whole API of Kubernetes it is as large as the rest of the hub.
    from aiinfn_hub.spawner.kubernetes import KubernetesSpawner  # noqa: PLC0415

    c.JupyterHub.spawner_class = KubernetesSpawner
    # The port is that of hub_bind_url.
    c.JupyterHub.hub_connect_ip = settings.connect
    # Sessions outlive the hub, which finds them again.
    c.JupyterHub.cleanup_servers = False
    spawner = c.KubernetesSpawner
    spawner.context = context
    spawner.namespace = platform.kubernetes.sessions_namespace
    spawner.poll_interval = SESSION_POLL
    spawner.http_timeout = HTTP_TIMEOUT


def _vkd_kubeconfig(environment: Mapping[str, str]) -> Path:
    name = "AIINFN_VKD_KUBECONFIG"
    value = environment.get(name)
    if not value:
        raise ConfigurationError(
            f"Set {name} to a kubeconfig of the service account {VKD}, with which the hub starts vkd, or AIINFN_VKD_URL "
            "to the address of a vkd that runs in a pod of its own."
        )
    if not Path(value).is_file():
        raise ConfigurationError(f"{name} names {value!r}, and there is no such file.")
    return Path(value).absolute()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
