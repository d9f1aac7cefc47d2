"""Folders of this machine as volumes of pods.

The restricted Pod Security Standard forbids hostPath in a pod, and rightly so. A claim on a PersistentVolume is allowed,
and whoever runs the cluster decides what is behind it: here a folder of this machine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[3]


def folder_claim(namespace: str, name: str, folder: Path) -> list[dict[str, Any]]:
    """A PersistentVolume on ``folder`` and the claim ``name`` that is bound to it and to nothing else.

    A volume can be bound once only, so each namespace gets its own on the same folder.
    """
    volume = f"{namespace}.{name}"
    size = {"storage": "1Gi"}  # demanded, never measured
    modes = ["ReadWriteMany"]
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                "capacity": size,
                "accessModes": modes,
                "storageClassName": "",
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": str(folder), "type": "Directory"},
                "claimRef": {"namespace": namespace, "name": name},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {
                "accessModes": modes,
                "storageClassName": "",
                "volumeName": volume,
                "resources": {"requests": size},
            },
        },
    ]


def python_folders() -> dict[str, Path]:
    """What a container made from localhost/hostfs:1 must see to run this interpreter with this checkout's packages.

    Claim name -> folder, to be mounted read-only at the same path: the distribution, the interpreter's environment,
    the interpreter's own folder where that is not the distribution's, and the packages of the editable install.
    """
    folders = {"usr": Path("/usr"), "environment": Path(sys.prefix)}
    base = Path(sys.base_prefix)
    if not base.is_relative_to("/usr"):
        folders["python"] = base
    for package in ("aiinfn_hub", "aiinfn_lab"):
        folders[package.replace("_", "-")] = CHECKOUT / package
    return folders


def mounts(folders: dict[str, Path], *, read_only: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """``volumes`` and ``volumeMounts`` of a pod that sees claims at the paths of their folders."""
    volumes = [{"name": n, "persistentVolumeClaim": {"claimName": n, "readOnly": read_only}} for n in folders]
    points = [{"name": n, "mountPath": str(p), "readOnly": read_only} for n, p in folders.items()]
    return volumes, points
