"""How a program logs in to the API server: a kubeconfig, or a pod's own service account."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration

_TLS: Final = ("host", "ssl_ca_cert", "cert_file", "key_file", "verify_ssl", "tls_server_name", "proxy")
"""What a connection is made with: when it changes, a new one is needed."""


class KubeConfigurationError(Exception):
    """Neither a kubeconfig nor a pod's own service account was found, or it cannot be used."""


async def read_credentials(kubeconfig: Path | None = None) -> Configuration:
    """Read how to log in.

    Parameters
    ----------
    kubeconfig
        Default: ``KUBECONFIG``, else the service account of the pod this runs in.

    Raises
    ------
    KubeConfigurationError
        If there is neither, or it makes no sense.
    """
    configuration = Configuration()
    chosen = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG")
    if chosen and not _is_there(chosen):
        raise KubeConfigurationError(f"There is no kubeconfig file {chosen}.")
    try:
        if chosen:
            await kube_config.load_kube_config(config_file=chosen, client_configuration=configuration)
        else:
            kube_config.load_incluster_config(client_configuration=configuration)
    # The loader lets through whatever a file that makes no sense leads to: TypeError, KeyError, those of yaml and base64.
    except Exception as error:
        raise KubeConfigurationError(
            f"There is no way to log in to Kubernetes ({error}). Set KUBECONFIG to a kubeconfig file, "
            "or run in a pod with a service account."
        ) from error
    return configuration


def connection_changed(before: Configuration, after: Configuration) -> bool:
    """Return whether two configurations differ in more than the token.

    Files that the kubeconfig holds as data get a name of their own for each content.
    """
    return any(getattr(before, key, None) != getattr(after, key, None) for key in _TLS)


def _is_there(kubeconfig: str) -> bool:
    return any(Path(each).is_file() for each in kubeconfig.split(os.pathsep) if each)
