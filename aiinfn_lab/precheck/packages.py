"""Which packages an interpreter finds. They are looked for, never imported, and by the interpreter itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiinfn_lab.i18n.language import gettext as _

SECONDS: Final = 10.0
"""How long an interpreter may take to look."""
_MARK: Final = "aiinfn-missing:"
# What is imported here comes before the person's folder is on the path, where anything may be called json.py.
_PROBE: Final = f"""
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import importlib.util, json
asked = json.loads(sys.stdin.read())
sys.path[:0] = asked["folders"]
missing = []
for name in asked["names"]:
    try:
        found = name in sys.modules or importlib.util.find_spec(name) is not None
    except Exception:
        found = True
    if not found:
        missing.append(name)
print({_MARK!r} + json.dumps(missing))
"""
_PYTHON: Final = re.compile(r"python[\d.]*")
_DISTRIBUTIONS: Final = {
    "Bio": "biopython",
    "Crypto": "pycryptodome",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "GitPython",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""What a package is called where it is installed from, if that is another name."""
_NOT_BY_PIP: Final = frozenset({"ROOT"})


@dataclass(frozen=True)
class Interpreter:
    """A Python as it is started for a kernel or a script.

    Attributes
    ----------
    environment
        Its whole environment.
    """

    program: str
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @classmethod
    def of_server(cls) -> Interpreter:
        """Return the Python that runs scripts, which is that of this server."""
        return cls(sys.executable)

    @classmethod
    def of_kernel(cls, argv: Sequence[str], env: Mapping[str, str], resources: str) -> Interpreter | None:
        """Find the Python of a kernel's specification; None if something else starts it.

        The rules are those of `jupyter_client.manager.KernelManager.format_kernel_cmd`.
        """
        environment = dict(os.environ)
        environment.update(
            {name: string.Template(value).safe_substitute(environment) for name, value in env.items()}
        )
        program = argv[0] if argv else ""
        major, minor = sys.version_info[:2]
        own = {"python", f"python{major}", f"python{major}.{minor}"}
        if program in own:
            return cls(sys.executable, environment)
        program = program.replace("{resource_dir}", resources).replace("{prefix}", sys.prefix)
        found = shutil.which(program, path=environment.get("PATH"))
        if found is None or not _PYTHON.fullmatch(Path(program).name):
            return None
        return cls(found, environment)

    def missing(self, names: Sequence[str], folders: Sequence[str]) -> list[str] | None:
        """Return those of some top-level packages that it does not find; None if it does not say in time. Blocks.

        Parameters
        ----------
        folders
            Where it looks first: the folder of the notebook or script, and what that adds.
        """
        try:
            told = subprocess.run(
                [self.program, "-c", _PROBE],
                input=json.dumps({"names": list(names), "folders": list(folders)}).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS,
                env=dict(self.environment),
                cwd="/",
                start_new_session=True,
                check=True,
            )
            line = told.stdout.decode().rpartition(_MARK)[2]
            found = json.loads(line)
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return [name for name in found if name in names] if isinstance(found, list) else None


def how_to_install(names: Sequence[str], *, notebook: bool) -> str:
    """Return how packages come into the environment."""
    by_pip = [_DISTRIBUTIONS.get(name, name) for name in names if name not in _NOT_BY_PIP]
    if not by_pip:
        return _("Choose an image that has it.")
    command = f"pip install {' '.join(by_pip)}"
    if notebook:
        return _("Install it first, for example in a cell: {command}").format(command=f"%{command}")
    return _("Install it first, for example in a terminal: {command}").format(command=command)
