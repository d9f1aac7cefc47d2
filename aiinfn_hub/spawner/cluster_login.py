"""The hub's login to the API server, renewed with its kubeconfig.

kubespawner reads a kubeconfig once. Tokens of service accounts expire (``kubectl create token`` gives at most what the API
server allows, often 24 h), and whoever renews the file, or the token file that it names, does not start the hub again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from kubernetes_asyncio import config as kube_config
from kubernetes_asyncio.client import Configuration

_log = logging.getLogger(__name__)
RENEW_SECONDS: Final = 60.0
"""How old a token becomes before its file is read again: as old as the official client lets a pod's own become."""


def renew_with_kubeconfig(configuration: Any) -> None:
    """Have a client's token renewed; a pod's own service account has a hook for that already.

    Parameters
    ----------
    configuration
        Of the client that all spawners share.
    """
    if configuration.refresh_api_key_hook is None:
        configuration.refresh_api_key_hook = renewing_hook(_read_kubeconfig)


async def _read_kubeconfig() -> Any:
    configuration = Configuration()
    await kube_config.load_kube_config(client_configuration=configuration)
    return configuration


def renewing_hook(
    read: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.monotonic
) -> Callable[[Any], Awaitable[None]]:
    """Return a ``refresh_api_key_hook`` that reads credentials again when they are older than `RENEW_SECONDS`.

    The official client calls it before each request. It renews the token; a renewed client certificate needs a new client.

    Parameters
    ----------
    read
        Reads the credentials anew: a configuration of which ``api_key`` is taken.
    """
    read_at = clock()

    async def renew(configuration: Any) -> None:
        nonlocal read_at
        if clock() - read_at < RENEW_SECONDS:
            return
        read_at = clock()  # before waiting: of many requests at a time one reads
        try:
            configuration.api_key = dict((await read()).api_key)
        # A file that is just being written, of which the loader makes all kinds of errors, fails no request.
        except Exception as error:
            _log.warning("the kubeconfig cannot be read again, the credentials stay as they are: %s", error)

    return renew
