"""By what the processes of an attempt are found when the processes above them were killed. Standard library only.

A process that detaches itself and drops its environment keeps:

- its *cgroup*, where this one may make cgroups (version 2; a process that runs as vkd itself could move itself out);
- an *additional group*, where jobs run as accounts of their own: one number an attempt, which no file has. Taking it off
  needs a right that jobs do not have. (Grid Engine finds its jobs in the same way.)

Where vkd is no root and may make no cgroup, two things are left: the guard and the supervisor, each of which ends what is
below it when the other is killed, and a variable of the *environment*, which is looked at when both are. Its value is of one
attempt of one vkd: the number of a job is not enough, since another vkd on this machine may have a job of the same number.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from typing import Any, Final

from aiinfn_hub.vkd.backends.common.system import groups_of, stat_fields

_FIRST_GROUP: Final = 0x70000000
"""From here on numbers are in no use by anybody, according to systemd's list of ranges."""
_GROUPS: Final = 0x08000000
_MOUNTS: Final = "/proc/self/mountinfo"


class Marks:
    """The marks of one attempt, worked out from its folder by every process that needs them.

    Parameters
    ----------
    cgroup
        Folder of its cgroup as ``run.json`` has it; None: below that of this process.

    Attributes
    ----------
    group
        The additional group; None if jobs are no accounts of their own.
    cgroup
        Empty if there is none.
    """

    def __init__(self, folder: str, spec: dict[str, Any], cgroup: str | None = None) -> None:
        number = zlib.crc32(os.fsencode(os.path.realpath(folder)))
        self._uid: int | None = spec.get("uid")
        self.group: int | None = None if self._uid is None else _FIRST_GROUP + number % _GROUPS
        if cgroup is None:
            above = _own_cgroup()
            cgroup = f"{above}/aiinfn-{number:08x}" if above else ""
        self.cgroup = cgroup

    def enter(self) -> None:
        """Put this process into the cgroup, if there can be one."""
        if not self.cgroup:
            return
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.cgroup, 0o755)  # noqa: PTH102 - no pathlib here
            with open(f"{self.cgroup}/cgroup.procs", "w", encoding="ascii") as stream:  # noqa: PTH123
                stream.write("0")

    def set_groups(self) -> None:
        """Return this process no group but the additional one; it must be root still."""
        if self.group is not None:
            with contextlib.suppress(OSError):
                os.setgroups([self.group])
                return
        os.setgroups([])  # the number is not mapped in this container

    def processes(self) -> list[int]:
        """List the processes that have the marks, zombies left out."""
        found = [pid for pid in self._in_cgroup() if (fields := stat_fields(pid)) and fields[0] != b"Z"]
        if self.group is not None:
            everybody = (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
            found += [pid for pid in everybody if self.group in groups_of(pid)]
        return found

    def _in_cgroup(self) -> list[int]:
        if not self.cgroup:
            return []
        try:
            with open(f"{self.cgroup}/cgroup.procs", encoding="ascii") as stream:  # noqa: PTH123
                return [int(line) for line in stream]
        except OSError:
            return []

    def remove(self) -> None:
        """Remove the cgroup, once it is empty."""
        if self.cgroup:
            with contextlib.suppress(OSError):
                os.rmdir(self.cgroup)  # noqa: PTH106 - no pathlib here


def _own_cgroup() -> str:
    """Return the folder of this process's cgroup (version 2) if cgroups can be made below it."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as stream:  # noqa: PTH123
            own = next((line[3:].rstrip("\n") for line in stream if line.startswith("0::/")), None)
        with open(_MOUNTS, encoding="utf-8") as stream:  # noqa: PTH123
            fields = [line.split() for line in stream if " - cgroup2 " in line]
    except OSError:
        return ""
    if own is None or ".." in own.split("/") or not fields:
        return ""
    root, mounted = fields[0][3], fields[0][4]
    below = own.removeprefix(root) if root != "/" else own
    folder = f"{mounted}{below}".rstrip("/")
    return folder if os.access(folder, os.W_OK) else ""
