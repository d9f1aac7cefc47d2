"""Whatever stands in a home, its owner's session starts: how else would they get rid of it."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import aiohttp
import pytest

from aiinfn_hub.host.accounts import Accounts
from tests.hub.realhub import RealHub, real_hub
from tests.hub.test_session_private import kernel_of

MODULE = "raise SystemExit('imported ' + __name__ + ' of the home')\n"
SITE = f".local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with real_hub(vkd=False) as running:
        yield running


def modules(folder: Path) -> None:
    """Make a module of each name that the standard library or an installed package has."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {
        name for name in {*sys.stdlib_module_names, *packages_distributions()} if re.fullmatch(r"\w+", name)
    }
    assert {"random", "json", "logging", "types", "jupyter_server", "traitlets", "tornado"} <= names
    for name in names:
        (folder / f"{name}.py").write_text(MODULE)


def beside(home: Path) -> None:
    modules(home)


def installed(home: Path) -> None:
    modules(home / SITE)
    (home / SITE / "usercustomize.py").write_text(MODULE)
    (home / SITE / "sitecustomize.py").write_text(MODULE)
    (home / SITE / "x.pth").write_text("import os; os._exit(7)\n")


def configured(home: Path) -> None:
    folder = home / ".jupyter"
    for name in ("jupyter_config", "jupyter_server_config", "jupyter_lab_config", "jupyter_notebook_config"):
        (folder / f"{name}.d").mkdir(parents=True)
        (folder / f"{name}.py").write_text("import sys; sys.exit(3)\n")
        (folder / f"{name}.json").write_text(
            '{"ServerApp": {"port": "none", "kernel_manager_class": "no.such"}}'
        )
        (folder / f"{name}.d/x.json").write_text("{")
    for place in (
        "labconfig/page_config.json",
        "lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings",
    ):
        (folder / place).parent.mkdir(parents=True)
        (folder / place).write_text("{ no JSON")
    workspace = home / ".jupyter/lab/workspaces/default-37a8.jupyterlab-workspace"
    workspace.parent.mkdir()
    workspace.write_text("")
    profile = home / ".ipython/profile_default"
    (profile / "startup").mkdir(parents=True)
    (profile / "startup/00.py").write_text("raise ValueError('of the home')\n")
    extension = home / ".local/share/jupyter/labextensions/broken"
    extension.mkdir(parents=True)
    (extension / "package.json").write_text("{ no JSON")
    (home / ".bashrc").write_text("exit 1\n")
    shutil.copy(home / ".bashrc", home / ".profile")


def files_for_folders(home: Path) -> None:
    for name in (".jupyter", ".local", ".ipython", ".config", ".cache", ".aiinfn"):
        (home / name).write_text("a file")


def odd_log(home: Path) -> None:
    (home / ".aiinfn/session.log").mkdir(parents=True)


def linked_log(home: Path) -> None:
    (home / ".aiinfn").mkdir()
    (home / ".aiinfn/session.log").symlink_to("/etc/passwd")


def shut(home: Path) -> None:
    home.chmod(0)


@pytest.mark.parametrize(
    "spoil",
    [beside, installed, configured, files_for_folders, odd_log, linked_log, shut],
    ids=lambda each: each.__name__,
)
async def test_a_session_starts_whatever_is_in_the_home(hub: RealHub, spoil: Callable[[Path], None]) -> None:
    account = Accounts(hub.data).get("ada")
    shutil.rmtree(account.home)
    account = Accounts(hub.data).get("ada")
    spoil(account.home)
    if account.uid is not None:
        for here, folders, files in os.walk(account.home):
            for name in (*folders, *files):
                os.chown(Path(here, name), account.uid, account.uid, follow_symlinks=False)
    status, answer = await hub.begin("ada", {})
    assert status in {201, 202}, answer
    try:
        await hub.ready("ada", seconds=60)
        headers = {"Authorization": f"token {hub.settings['admin_token']}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            for path in (
                "lab",
                "api/contents",
                "api/kernelspecs",
                "lab/api/settings",
                "lab/api/workspaces",
                "api/terminals",
                "aiinfn-lab/session-time",
            ):
                async with http.get(f"{hub.url}/user/ada/{path}") as page:
                    assert page.status == 200, (path, await page.text())
        if spoil is not installed:
            async with kernel_of(hub, "ada") as kernel:
                assert await kernel.run("import random; print(6 * 7)") == "42\n"
    finally:
        await hub.end_session("ada")


async def test_a_notebook_and_a_script_still_import_what_is_beside_them(hub: RealHub) -> None:
    home = Accounts(hub.data).get("ben").home
    (home / "helper.py").write_text("here = 'beside'\n")
    (home / "script.py").write_text(
        "import helper, sys; print(helper.here, sys.flags.safe_path, sys.flags.no_user_site)\n"
    )
    await hub.begin("ben", {})
    await hub.ready("ben")
    try:
        async with kernel_of(hub, "ben") as kernel:
            assert await kernel.run("import helper; print(helper.here)") == "beside\n"
            script = "import sys, subprocess; print(subprocess.check_output([sys.executable, 'script.py'], text=True))"
            assert await kernel.run(script) == "beside False 0\n\n", "the server's flags are not handed on"
            spawned = "import multiprocessing as m; c = m.get_context('spawn'); p = c.Pool(1); print(p.map(abs, [-3])); p.close(); p.join()"
            assert await kernel.run(spawned) == "[3]\n"
    finally:
        await hub.end_session("ben")


async def test_what_of_the_home_is_not_read_is_said_in_the_log(hub: RealHub) -> None:
    home = Accounts(hub.data).get("cleo").home
    (home / ".jupyter").mkdir()
    (home / ".jupyter/jupyter_server_config.py").write_text("import sys; sys.exit(3)\n")
    (home / ".ipython").write_text("")
    for each in (home / ".jupyter", home / ".jupyter/jupyter_server_config.py"):
        os.chown(each, home.stat().st_uid, home.stat().st_gid)
    await hub.begin("cleo", {})
    await hub.ready("cleo")
    await hub.end_session("cleo")
    log = (home / ".aiinfn/session.log").read_text()
    assert "jupyter_server_config.py is not read: a server's configuration comes with its image" in log
    assert "~/.ipython cannot be used (File exists)" in log
    assert "Traceback" not in log
