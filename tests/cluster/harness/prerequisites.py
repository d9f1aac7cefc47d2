"""What the distribution must provide, and how to get what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

CNI_FOLDER = Path("/usr/lib/cni")
CNI_PLUGINS = ("bridge", "host-local", "loopback")
COMMANDS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "busybox": "busybox-static",
    "ip": "iproute2",
    "openssl": "openssl",
    "chroot": "coreutils",
    "umount": "mount",
}
"""Command -> the Debian package that has it."""

GO = (1, 26)
GO_SWITCHES = (1, 21)
"""The first Go that gets the toolchain which a go.mod asks for from the module proxy by itself."""


class Missing(Exception):  # noqa: N818 - it is named for what is missing
    """A prerequisite is not there; the message says how to get it."""


def find(command: str) -> str:
    """Path of a command of this machine; the sbin folders are searched too."""
    if found := _which(command):
        return found
    raise Missing(f"{command} is not installed. On Debian: apt-get install -y {COMMANDS[command]}")


def need_root() -> None:
    """Say so where this process cannot make a cluster."""
    if os.geteuid() != 0:
        raise Missing("The cluster needs root: the kubelet and runc make namespaces, mounts and cgroups.")


def need_packages(say: Callable[[str], None]) -> None:
    """Install, as root, the Debian packages that are missing; else say the one command that does."""
    if not (packages := _missing_packages()):
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        say(f"Installing {' '.join(packages)} ...")
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
        subprocess.run([apt, "update", "-qq"], check=False, **quiet)  # type: ignore[call-overload]
        subprocess.run([apt, *command[1:], "-qq"], check=False, **quiet)  # type: ignore[call-overload]
        if not _missing_packages():
            return
    raise Missing(f"Some programs are missing. On Debian, as root: {' '.join(command)}")


@cache
def go() -> tuple[str, dict[str, str]]:
    """Path of a Go that can build the modules here, and the variables to run it with."""
    sentence = (
        "Go 1.26 or newer is needed to build Kubernetes and Kueue once; Debian's is too old. "
        "Unpack an archive from https://go.dev/dl/ to /usr/local/go."
    )
    path = _which("go") or shutil.which("/usr/local/go/bin/go")
    if not path:
        raise Missing(sentence)
    text = subprocess.check_output(
        [path, "env", "GOVERSION"], text=True, env={**os.environ, "GOTOOLCHAIN": "local"}
    )
    match = re.search(r"go(\d+)\.(\d+)", text)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < GO_SWITCHES:
        raise Missing(f"{path} is {text.strip()}. {sentence}")
    variables = {"CGO_ENABLED": "0", "GOWORK": "off"}
    return path, variables if version >= GO else {**variables, "GOTOOLCHAIN": "auto"}


def _which(command: str) -> str | None:
    folders = [os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    return shutil.which(command, path=os.pathsep.join(folders))


def _missing_packages() -> list[str]:
    missing = {package for command, package in COMMANDS.items() if not _which(command)}
    if not all((CNI_FOLDER / plugin).exists() for plugin in CNI_PLUGINS):
        missing.add("containernetworking-plugins")
    return sorted(missing)
