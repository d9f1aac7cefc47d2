"""What a cluster leaves on the host outside its root folder, and how to take exactly that away, also after a crash.

That is: one bridge, mounts, container processes, cgroups, and entries in a few fixed folders.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from functools import partial
from pathlib import Path

from .api import wait_for
from .prerequisites import find
from .settings import interface_exists

FIXED_FOLDERS = (
    "/run/containerd/s",
    "/run/containerd",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/log/containers",
)
"""Paths that containerd, the CNI library and the kubelet insist on, whatever root they are given.

They are removed when they are empty.
"""


def ip(*arguments: str, check: bool = True) -> None:
    """Run the command ip."""
    done = subprocess.run([find("ip"), *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def container_bundles(state: Path) -> list[Path]:
    """Folders of the containers in a containerd's state folder, named by their ids."""
    return list((state / "io.containerd.runtime.v2.task" / "k8s.io").glob("*"))


def end_containers(state: Path, containerd_socket: Path, ctr: list[str] | None) -> None:
    """End containers and their shims, which outlive containerd by design.

    Parameters
    ----------
    state
        containerd's state folder, which knows them all.
    ctr
        The command that reaches containerd, where it is alive. What it does not remove is removed by hand.
    """
    bundles = container_bundles(state)
    for bundle in bundles if ctr else ():
        subprocess.run(
            [*(ctr or ()), "tasks", "delete", "--force", bundle.name], capture_output=True, check=False
        )
    for pid in pids_with_argument(str(containerd_socket)):  # shims carry the socket in their command line
        kill(pid)
    for bundle in bundles:
        for cgroup in cgroups(bundle.name):
            for line in (cgroup / "cgroup.procs").read_text().split():
                kill(int(line))
            wait_for(f"container {bundle.name} to end", partial(_rmdir, cgroup), timeout=10)
        for record in Path("/var/lib/cni/results").glob(f"*-{bundle.name}-*"):
            record.unlink()
        if (address := bundle / "address").exists():
            Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def unmount_under(root: Path) -> None:
    """Unmount root file systems of containers, volumes and network namespaces: the latest first."""
    for point in reversed(mounts_under(root)):
        subprocess.run([find("umount"), "--lazy", point], capture_output=True, check=False)


def sweep(root: Path) -> None:
    """Remove our entries in folders that all clusters share, and those folders where nothing else is in them."""
    for link in Path("/var/log/containers").glob("*"):
        if link.is_symlink() and os.readlink(link).startswith(f"{root}/"):  # noqa: PTH115 - it may dangle
            link.unlink()
    _unlink_if_dead(Path("/var/lib/kubelet/device-plugins/kubelet.sock"))
    for folder in (*map(Path, FIXED_FOLDERS), *cgroups()):
        _rmdir(folder)


def leftovers(root: Path, bridge: str) -> list[str]:
    """What of a cluster is still on the host, in words; empty after ``down``."""
    found = [f"mount {point}" for point in mounts_under(root)]
    found += [f"process {pid}: {_command(pid)}" for pid in _pids_of(root)]
    if interface_exists(bridge):
        found.append(f"network interface {bridge}")
    for link in Path("/var/log/containers").glob("*"):
        if link.is_symlink() and os.readlink(link).startswith(f"{root}/"):  # noqa: PTH115 - it may dangle
            found.append(f"link {link}")
    return found


def cgroups(container: str = "") -> list[Path]:
    """Return a container's cgroups, or the parents of all: version 1 has one in each hierarchy, version 2 one."""
    top = Path("/sys/fs/cgroup")
    return [c / container for c in (*top.glob("*/k8s.io"), top / "k8s.io") if (c / container).is_dir()]


def mounts_under(root: Path) -> list[str]:
    """Mount points below ``root``, the oldest first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{root}/")]


def pids_with_argument(argument: str) -> list[int]:
    """Processes that have exactly this argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if argument.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def kill(pid: int) -> None:
    """Send SIGKILL; a process that is gone is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _pids_of(root: Path) -> list[int]:
    """Processes that name ``root`` in an argument, or have their root or working folder in it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            places = [os.readlink(folder / "root"), os.readlink(folder / "cwd")]  # noqa: PTH115 - magic links
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace")
            if f"{root}/" in arguments or any(f"{p}/".startswith(f"{root}/") for p in places):
                found.append(pid)
    return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:200]
    return "(gone)"


def _rmdir(folder: Path) -> bool:
    """Whether an empty folder, or a cgroup without processes, is gone."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def _unlink_if_dead(path: Path) -> None:
    """Remove a Unix socket that nobody listens on."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError:
            pass
