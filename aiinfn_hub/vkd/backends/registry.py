"""The back ends there are: one line of a table for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.model.settings import BackendKind
from aiinfn_hub.vkd.domain.backend import Backends

Factory = Callable[[Platform, Path, Path | None], Awaitable[Backends]]


class BackendUnavailableError(Exception):
    """A back end cannot be made here; the message says what to do."""


async def make(platform: Platform, data: Path, kubeconfig: Path | None) -> Backends:
    """Make the back end that the platform file names; nothing runs yet.

    Parameters
    ----------
    data
        The data folder.
    kubeconfig
        Logs vkd in to Kubernetes; None: ``KUBECONFIG``, else the service account of the pod this runs in.

    Raises
    ------
    BackendUnavailableError
        If there is no way to log in to Kubernetes.
    """
    return await FACTORIES[platform.batch_backend](platform, data, kubeconfig)


# Each is imported only where it is used: what the other ones need takes memory, and may not be installed.


async def _local(platform: Platform, data: Path, _kubeconfig: Path | None) -> Backends:
    from aiinfn_hub.host.accounts import Accounts  # noqa: PLC0415

    from .local.backend import LocalBackend  # noqa: PLC0415

    accounts = await asyncio.to_thread(Accounts, data)
    return Backends.complete(LocalBackend(platform=platform, data=data, accounts=accounts))


async def _kubernetes(platform: Platform, data: Path, kubeconfig: Path | None) -> Backends:
    from aiinfn_hub.kube.client import KubeClient  # noqa: PLC0415
    from aiinfn_hub.kube.credentials import KubeConfigurationError  # noqa: PLC0415

    from .kubernetes.backend import KubernetesBackend  # noqa: PLC0415

    try:
        client = await KubeClient.connect(kubeconfig)
    except KubeConfigurationError as error:
        raise BackendUnavailableError(str(error)) from error
    return Backends.complete(KubernetesBackend(platform, data, client))


FACTORIES: Final[Mapping[BackendKind, Factory]] = {
    BackendKind.LOCAL: _local,
    BackendKind.KUBERNETES: _kubernetes,
}
