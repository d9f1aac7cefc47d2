"""Folders that cannot be read: without rights, and on a network file system that is gone. Each is told; nothing else suffers."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiinfn_lab.cleanup import garbage
from tests.lab.conftest import HUB_TOKEN, Lab, Peer

_DROP = "-dac_override,-dac_read_search"
_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def _without_rights(folder: Path) -> Iterator[str]:
    folder.mkdir(exist_ok=True)
    folder.chmod(0)
    try:
        yield "Permission denied"
    finally:
        folder.chmod(0o700)


@contextlib.contextmanager
def _stale(folder: Path) -> Iterator[str]:
    """A file system whose other end is gone, as of a network that failed: every look at it is an error."""
    folder.mkdir(exist_ok=True)
    end = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={end},rootmode=40000,user_id=0,group_id=0".encode()
    mounted = _libc.mount(b"stale", os.fsencode(folder), b"fuse", 0, options)
    os.close(end)
    if mounted:
        pytest.skip("this machine does not let tests mount a file system")
    try:
        yield "Transport endpoint is not connected"
    finally:
        _libc.umount2(os.fsencode(folder), _DETACH)


@pytest.fixture(params=["without rights", "stale"])
def broken(request: pytest.FixtureRequest) -> Any:
    if request.param == "stale" and (os.geteuid() != 0 or not os.path.exists("/dev/fuse")):  # noqa: PTH110
        pytest.skip("only root can mount a file system")
    return _stale if request.param == "stale" else _without_rights


@pytest.fixture(scope="module")
def bound() -> list[Any]:
    """Lets a command of root's obey the modes of files, as that of anybody else does."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and there is no setpriv")
    return ["setpriv", "--bounding-set", _DROP, "--inh-caps", _DROP]


@pytest.fixture
def limited(
    bound: list[Any],
    start_server: Callable[..., contextlib.AbstractContextManager[Lab]],
    peer: Peer,
    tmp_path: Path,
) -> Iterator[Any]:
    environment = {
        "AIINFN_VKD_URL": peer.url,
        "JUPYTERHUB_API_TOKEN": HUB_TOKEN,
        "JUPYTERHUB_USER": "ada",
        "AIINFN_PROJECT": "demo",
        "AIINFN_IMAGE": "standard",
    }
    with start_server(tmp_path, environment, prefix=bound) as lab:
        yield lab


def work(path: str) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    return {"kind": "script", "path": path, "snapshot": f".aiinfn/jobs/x/{name}"}


def test_the_list_of_jobs_says_of_which_one_the_folder_cannot_be_read(
    limited: Any, peer: Peer, broken: Any
) -> None:
    limited.write("fine/a.py", "1")
    peer.add_job(work("locked/a.py"))
    peer.add_job(work("locked/below/a.py"))
    fine = peer.add_job(work("fine/a.py"))
    with broken(limited.home / "locked") as why:
        reply = limited.get("jobs")
        assert reply.status == 200, reply.body
        one = limited.get(f"jobs/{next(iter(peer.jobs))}")
        # Neither does it keep other folders from being looked at, or submitted.
        assert limited.get("inspect", path="fine/a.py").status == 200
        refused = [
            limited.get("inspect", path="locked/a.py"),
            limited.get("folder", path="locked"),
            limited.submit({"path": "locked/a.py"}),
            limited.ask("POST", "check", body={"path": "locked/a.py"}),
        ]
    told = {job["id"]: job["lab"] for job in reply.json["jobs"]}
    assert told.pop(fine.id)["unreadable"] is None
    assert [lab["unreadable"] for lab in told.values()] == [why, why]
    assert not any(lab["input_exists"] or lab["output_exists"] for lab in told.values())
    assert (one.status, one.json["lab"]["unreadable"]) == (200, why)
    for reply in refused:
        assert reply.status in {403, 503}, reply.body
        assert "locked" in reply.json["message"]
    assert b"Traceback" not in limited.log.read_bytes()


def test_a_folder_with_one_in_it_that_cannot_be_read_is_looked_at_all_the_same(
    limited: Any, broken: Any
) -> None:
    limited.write("project/main.py", "1")
    with broken(limited.home / "project/locked"):
        reply = limited.get("folder", path="project")
        body = {"folder": "project", "path": "project/main.py"}
        check = limited.ask("POST", "check", body=body)
    assert reply.status == 200, reply.body
    assert reply.json["programs"] == ["main.py"]
    assert check.status == 200, check.body
    assert "locked/" in str(check.json["checks"])


def test_a_place_for_copies_that_cannot_be_read_is_told(limited: Any, peer: Peer, broken: Any) -> None:
    limited.write("a.py", "1")
    with broken(limited.home / ".aiinfn"):
        reply = limited.submit({"path": "a.py"})
    assert reply.status in {403, 503}, reply.body
    assert "could not be written" in reply.json["message"]
    assert not peer.jobs


def test_what_cannot_be_removed_stays_on_the_list_and_the_rest_goes(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    for job in ("one", "two"):
        (tmp_path / garbage.CHECKPOINTS / job).mkdir(parents=True)  # type: ignore[attr-defined]
    with _stale(tmp_path / garbage.CHECKPOINTS / "one"):  # type: ignore[attr-defined]
        done = garbage.clear(tmp_path, [{"id": "one"}, {"id": "two"}])
    assert done == ["two"]


def test_the_command_line_says_that_it_cannot_be_read(
    bound: list[Any], tmp_path: Path, peer: Peer, broken: Any
) -> None:
    home = tmp_path.resolve()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIINFN")}
    environment |= {"HOME": str(home), "AIINFN_VKD_URL": peer.url, "JUPYTERHUB_API_TOKEN": HUB_TOKEN}
    with broken(home / "locked"):
        for path in ("locked", "locked/a.py", "locked/folder/"):
            ended = subprocess.run(
                [*bound, sys.executable, "-m", "aiinfn_lab.cli", "submit", path],
                cwd=home,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ended.returncode != 0
            assert "Traceback" not in ended.stderr
            assert "locked" in ended.stderr
