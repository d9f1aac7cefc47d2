"""The platform of these tests on a cluster: its file, its objects, its folders and its service accounts.

site = Site(cluster, folder)       # the file is written and can be loaded
await site.set_up()                # applied with `aiinfn_hub.kube.apply.apply`, folders mountable, queues active
site.path, site.platform           # for programs and for functions
site.hub_kubeconfig, site.vkd_kubeconfig
site.home("ada")                   # this machine's folder behind /home/user of the person's sessions and jobs
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

import yaml

from aiinfn_hub.kube import names
from aiinfn_hub.kube.apply import apply
from aiinfn_hub.kube.client import KubeClient
from aiinfn_hub.kube.objects import rbac
from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.model.platform import Platform
from tests.cluster.harness import Cluster, images, volumes, wait_for

HERE = Path(__file__).parent
FOUND_AGAIN = 90.0
"""Seconds in which Kueue, too, finds an API server again that was away a moment ago (its clients back off as the kubelet's)."""
INSTANCE = names.Instance("aiinfn-system")
"""The platform of `platform.yaml`, which names none."""
HOMES, SHARES = "homes", "shares"


class Site:
    """A platform on one cluster.

    Parameters
    ----------
    folder
        For the platform file, homes and shares. Containers must be able to reach it, so not below a folder of mode 0700.
    change
        Changes the parsed file before it is written; `change` does so again later.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, change: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.cluster, self.folder = cluster, folder
        self.path = folder / "platform.yaml"
        for name in (HOMES, SHARES):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.write(change)

    @property
    def platform(self) -> Platform:
        """The file as it is now."""
        return loader.load(self.path)

    def write(self, change: Callable[[dict[str, Any]], None] | None = None) -> Platform:
        """Write the platform file afresh, with a change to it."""
        mounts, points = volumes.mounts(volumes.python_folders(), read_only=True)
        text = Template((HERE / "platform.yaml").read_text()).substitute(
            path=f"{Path(sys.executable).parent}:/usr/bin:/bin",
            gateway=self.cluster.settings.gateway,
            volumes=json.dumps(mounts),
            volume_mounts=json.dumps(points),
        )
        data = yaml.safe_load(text)
        if change:
            change(data)
        self.path.write_text(yaml.safe_dump(data, sort_keys=False))
        return self.platform

    async def set_up(self) -> None:
        """Bring the cluster in line with the file, and make the folders mountable."""
        platform = self.platform
        client = await KubeClient.connect(self.cluster.kubeconfig)
        try:
            plan = await apply.make_plan(client, platform)
            await apply.carry_out(client, platform, plan)
            assert await apply.inactive_queues(client, platform, FOUND_AGAIN) == []
        finally:
            await client.close()
        spaces = (platform.kubernetes.sessions_namespace, platform.kubernetes.batch_namespace)
        for namespace in spaces:
            # Pods are refused until the namespace's own service account is there.
            path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
            wait_for(f"namespace {namespace}", lambda p=path: self.cluster.api.get(p))  # type: ignore[misc]
            folders = volumes.python_folders() | {name: self.folder / name for name in (HOMES, SHARES)}
            self.cluster.claim_folders(namespace, folders)
        for project in platform.projects:
            self._own(self.folder / SHARES / names.slug(project))

    def home(self, person: str) -> Path:
        """Give the folder of this machine that is a person's home in containers; it is made at first."""
        return self._own(self.folder / HOMES / names.slug(person))

    @property
    def hub_kubeconfig(self) -> Path:
        """Logs in as the hub's service account."""
        return self.cluster.kubeconfig_of(self.platform.kubernetes.system_namespace, rbac.HUB)

    @property
    def vkd_kubeconfig(self) -> Path:
        """Logs in as vkd's service account."""
        return self.cluster.kubeconfig_of(self.platform.kubernetes.system_namespace, rbac.VKD)

    @staticmethod
    def _own(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        os.chown(folder, images.UID, images.UID)
        return folder
