"""Container images made by hand: OCI archives written with tarfile, for machines that can pull nothing.

- ``localhost/pause:1``    sandbox image: busybox, sleeping
- ``localhost/busybox:1``  a shell and the usual commands
- ``localhost/hostfs:1``   bare directories with Debian's merged-/usr links; mount the host's /usr (and, say, a Python
                           environment) read-only into it and programs of the host run in a real container
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from pathlib import Path
from typing import Any

PAUSE, BUSYBOX, HOSTFS = "localhost/pause:1", "localhost/busybox:1", "localhost/hostfs:1"
UID = 1000
"""The one ordinary user of the images, called user; its home is /home/user."""

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
PASSWD = f"root:x:0:0:root:/root:/bin/sh\nuser:x:{UID}:{UID}:user:/home/user:/bin/sh\n"
GROUP = f"root:x:0:\nuser:x:{UID}:\n"


class Layer:
    """A file system layer in memory, with what every image has."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w")  # noqa: SIM115 - closed by bytes()
        for path in ("dev", "etc", "home", "opt", "proc", "root", "run", "srv", "sys", "var"):
            self.folder(path)
        self.folder("tmp", 0o1777)
        self.folder("home/user", owner=UID)
        self.file("etc/passwd", PASSWD.encode())
        self.file("etc/group", GROUP.encode())

    def folder(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        """Add a folder."""
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, owner, owner
        self._tar.addfile(info)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, target
        self._tar.addfile(info)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        info = tarfile.TarInfo(path)
        info.mode, info.size = mode, len(content)
        self._tar.addfile(info, io.BytesIO(content))

    def bytes(self) -> bytes:
        """Close it and return the tar file."""
        self._tar.close()
        return self._buffer.getvalue()


def write_archive(target: Path, busybox: Path) -> None:
    """Write one OCI archive with the three images, for ``ctr images import``."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        kind = f"application/vnd.oci.image.{media_type}"
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def image(name: str, layer: bytes, config: dict[str, Any]) -> dict[str, Any]:
        layer_reference = blob(layer, "layer.v1.tar")
        description = {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer_reference["digest"]]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(json.dumps(description).encode(), "config.v1+json"),
            "layers": [layer_reference],
        }
        reference = blob(json.dumps(manifest).encode(), "manifest.v1+json")
        return {**reference, "annotations": {"io.containerd.image.name": name}}

    shell = _busybox_layer(busybox)
    path = {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}
    manifests = [
        image(PAUSE, shell, {**path, "Entrypoint": ["/bin/sleep", "infinity"]}),
        image(BUSYBOX, shell, {**path, "Cmd": ["/bin/sh"]}),
        image(HOSTFS, _hostfs_layer(), path),
    ]
    blobs["oci-layout"] = json.dumps({"imageLayoutVersion": "1.0.0"}).encode()
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    with tarfile.open(target, "w") as tar:
        for name, content in blobs.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def import_archive(archive: Path, ctr: list[str]) -> None:
    """Give the images to containerd; ``ctr``: the command that reaches the right one."""
    subprocess.run([*ctr, "images", "import", str(archive)], check=True, capture_output=True)


def _busybox_layer(busybox: Path) -> bytes:
    layer = Layer()
    layer.folder("bin")
    layer.file("bin/busybox", busybox.read_bytes(), 0o755)
    for applet in subprocess.check_output([busybox, "--list"], text=True).split():
        if applet != "busybox":
            layer.link(f"bin/{applet}", "busybox")
    return layer.bytes()


def _hostfs_layer() -> bytes:
    layer = Layer()
    layer.folder("usr")
    for name in ("bin", "sbin", "lib", "lib64"):
        layer.link(name, f"usr/{name}")
    return layer.bytes()
