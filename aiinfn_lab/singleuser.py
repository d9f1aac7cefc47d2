"""Start of a session's server: JupyterHub's own, which nothing that stands in a home can keep from starting.

Run as ``python -P -s -m aiinfn_lab.singleuser``: neither the working folder (``-P``) nor ``~/.local`` (``-s``) is among the
server's modules. Kernels and terminals are started without these flags: there, both are the person's to use.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiinfn_hub.contract import posix_accounts

_FOLDERS = {
    "JUPYTER_CONFIG_DIR": ".jupyter",
    "JUPYTER_DATA_DIR": ".local/share/jupyter",
    "IPYTHONDIR": ".ipython",
}
"""Folders of the home that Jupyter and IPython cannot do without, by the variable that names another one."""


def main() -> None:
    """Prepare what the home may not decide, and become the server."""
    home = Path.home()
    keep_path()
    use_other_folders(home)
    leave_out_home(home)
    put_aside_unreadable(Path(os.environ.get("JUPYTER_CONFIG_DIR", home / ".jupyter"), "lab"))
    without_node()
    sys.argv += without_broken_extensions()
    from jupyterhub.singleuser import main as serve  # noqa: PLC0415

    serve()


def keep_path() -> None:
    """Let what this Python's environment has be found in terminals, login shell or not."""
    own = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    if own not in path.split(os.pathsep):
        path = os.environ["PATH"] = os.pathsep.join((own, path))
    os.environ[posix_accounts.PATH] = path
    if "SHELL" not in os.environ and (bash := shutil.which("bash")):
        os.environ["SHELL"] = bash


def use_other_folders(home: Path) -> None:
    """Name an empty folder for each of those that cannot be used, for example because a file is in its place."""
    for variable, place in _FOLDERS.items():
        if variable not in os.environ:
            folder = home / place
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with os.scandir(folder):
                    pass
            except OSError as error:
                os.environ[variable] = _another()
                _say(
                    f"~/{place} cannot be used ({error.strerror}): what belongs there is lost when this session ends"
                )
    if "JUPYTER_RUNTIME_DIR" not in os.environ:
        runtime = Path(os.environ.get("JUPYTER_DATA_DIR", home / _FOLDERS["JUPYTER_DATA_DIR"]), "runtime")
        try:
            runtime.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=runtime):
                pass
        except OSError:
            os.environ["JUPYTER_RUNTIME_DIR"] = _another()


def _another() -> str:
    return tempfile.mkdtemp(prefix="aiinfn-", dir=os.environ.get("XDG_RUNTIME_DIR"))


def leave_out_home(home: Path) -> None:
    """Read no configuration of the server from the home.

    It is code, or can name any class, and one wrong line ends the server. Unlike JupyterHub's ``disable_user_config``,
    this keeps the person's kernels and JupyterLab's settings.
    """
    from jupyter_core.application import JupyterApp  # noqa: PLC0415

    # Not `jupyter_config_path` itself, by which JupyterLab finds its page's settings.
    find: Any = vars(JupyterApp)["config_file_paths"]

    def elsewhere(app: JupyterApp) -> list[str]:
        return [path for path in find.fget(app) if not _in_home(Path(path), home)]

    JupyterApp.config_file_paths = property(elsewhere)  # type: ignore[assignment, method-assign]
    for path in _ignored(home):
        _say(f"{path} is not read: a server's configuration comes with its image")


def put_aside_unreadable(folder: Path) -> None:
    """Rename settings and workspaces of JupyterLab that cannot be parsed: one such file makes all of them unreadable."""
    from json5 import loads as loads_json5  # noqa: PLC0415

    for pattern in ("user-settings/**/*.jupyterlab-settings", "workspaces/*.jupyterlab-workspace"):
        for path in sorted(folder.glob(pattern)):
            try:
                text = path.read_text(encoding="utf-8")
                try:
                    json.loads(text)
                except ValueError:
                    loads_json5(text)
            except (OSError, ValueError, RecursionError) as error:
                with contextlib.suppress(OSError):
                    path.rename(path.with_name(f"{path.name}.unreadable"))
                    _say(f"{path} cannot be read ({error}); it is now {path.name}.unreadable")


def without_node() -> None:
    """Keep JupyterLab from starting Node, where there is one, for an address that only a build of JupyterLab asks.

    It does so as soon as it is imported, by Yarn, which takes a third of a second; a session builds none.
    """
    from jupyterlab import commands  # noqa: PLC0415

    # What it finds where there is no Node.
    commands._yarn_config = lambda _logger: {"yarn config": {}, "npm config": {}}  # noqa: SLF001


def without_broken_extensions() -> list[str]:
    """Return the options that leave out folders with labextensions which JupyterLab cannot read.

    It reads them all for each page, and one with a broken description leaves no page at all.
    """
    from jupyter_core.paths import jupyter_path  # noqa: PLC0415
    from jupyterlab_server.config import get_federated_extensions  # noqa: PLC0415

    folders, usable = jupyter_path("labextensions"), []
    for folder in folders:
        try:
            get_federated_extensions([folder])
        except Exception as error:  # whatever it is, no page would survive it
            _say(
                f"the labextensions in {folder} are left out, one cannot be read: {type(error).__name__}: {error}"
            )
        else:
            usable.append(folder)
    return [] if usable == folders else [f"--LabApp.labextensions_path={folder}" for folder in usable]


def _in_home(path: Path, home: Path) -> bool:
    path, home, prefix = path.resolve(), home.resolve(), Path(sys.prefix).resolve()
    return path.is_relative_to(home) and not (prefix.is_relative_to(home) and path.is_relative_to(prefix))


def _ignored(home: Path) -> Iterable[Path]:
    for stem in ("jupyter_config", "jupyter_server_config", "jupyter_notebook_config"):
        for ending in (".py", ".json"):
            path = home / ".jupyter" / f"{stem}{ending}"
            if os.path.lexists(path):
                yield path


def _say(sentence: str) -> None:
    print(f"[aiinfn] {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - the session's log


if __name__ == "__main__":
    main()
