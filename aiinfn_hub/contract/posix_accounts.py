"""The accounts that a session sees: a person's uid has their name, and a login shell keeps the image's path.

A uid that no entry of ``/etc/passwd`` has is "I have no name!" to a shell, ``whoami`` and git fail, and `pwd.getpwuid` raises.
And the ``/etc/profile`` of Debian, which login shells read, replaces the path. So a session gets its own small files in
their places: on Kubernetes out of annotations of the pod, on one machine in its own mount namespace.
"""

from __future__ import annotations

import re
from typing import Final

PATH: Final = "AIINFN_PATH"
"""In the environment of a session: the path that its server has, for shells that lost it."""

PROFILE: Final = f"""\
# Added for this session: what its server has in its path is found in a login shell, too.
if [ -n "${{{PATH}-}}" ]; then
  _aiinfn_rest="${PATH}:" _aiinfn_lost=
  while [ -n "$_aiinfn_rest" ]; do
    _aiinfn_one="${{_aiinfn_rest%%:*}}" _aiinfn_rest="${{_aiinfn_rest#*:}}"
    case ":$PATH:" in
      *":$_aiinfn_one:"*) ;;
      *) _aiinfn_lost="$_aiinfn_lost$_aiinfn_one:" ;;
    esac
  done
  PATH="$_aiinfn_lost$PATH"
  export PATH
  unset _aiinfn_rest _aiinfn_lost _aiinfn_one
fi
"""
"""For any Bourne shell: puts in front of the path what is missing there."""
MARK: Final = PROFILE.partition("\n")[0]
"""By which a session knows that its login shells read that."""
PROFILE_FILE: Final = "zz-aiinfn.sh"
"""Its name in ``/etc/profile.d``: the last of all."""

BASE_ACCOUNTS: Final = (
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
)
BASE_GROUPS: Final = "root:x:0:\nnogroup:x:65534:\n"
"""What a container has beside the person: its own accounts are of no use to a process that cannot become them."""

_LOGIN: Final = re.compile(r"[a-z_][a-z0-9._-]{0,31}\Z")


def login_name(name: str, slug: str) -> str:
    """Return the name of a person's account: their own where an account can have it, else their slug."""
    login = name if _LOGIN.match(name) else slug
    return f"user-{login}" if login in {"root", "nobody", "nogroup"} else login


def passwd(base: str, login: str, uid: int, gid: int, title: str, home: str, shell: str) -> str:
    """Return the text of a ``passwd`` file with a person before all others.

    Parameters
    ----------
    base
        The other entries; one of the same uid is left out.
    title
        The person's name as people know it.
    """
    entry = f"{login}:x:{uid}:{gid}:{_field(title)}:{_field(home)}:{_field(shell)}"
    return "\n".join([entry, *_without(base, uid), ""])


def group(base: str, login: str, gid: int) -> str:
    """Return the text of a ``group`` file with a person's group before all others."""
    return "\n".join([f"{login}:x:{gid}:", *_without(base, gid), ""])


def _without(text: str, number: int) -> list[str]:
    return [line for line in text.splitlines() if line.split(":")[2:3] != [str(number)]]


def _field(value: str) -> str:
    """Return a value that cannot end its field or its line."""
    return re.sub(r"[:,\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", value).encode("utf-8", "replace").decode()
