"""Another build of the suite: that of the tag ``contract-1``, made once and kept in the cache.

It stands for a user image that is pinned for months, or for a platform that was not updated yet. Its packages are unpacked from
its wheel into a folder that comes before those of the environment, whose other packages it uses.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parents[1]
TAG = "contract-1"


@dataclass(frozen=True)
class OtherBuild:
    """A build, and where its packages are."""

    packages: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to run it: its packages come first, and the working folder is none of their places."""
        return {"PYTHONPATH": str(self.packages), "PYTHONSAFEPATH": "1"}

    def prefix(self, folder: Path) -> Path:
        """Make the environment of an image that has this build, as ``local_prefix`` of an image names it."""
        python = folder / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nPYTHONPATH="{self.packages}" exec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        return folder


def other_build() -> OtherBuild:
    """Return the build of the tag, or while it is not set of the last commit; skip the test where there is no history."""
    commit = _commit(f"refs/tags/{TAG}") or _commit("HEAD")
    if not commit:
        pytest.skip("this is no checkout with a history, of which another build could be made")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aiinfn" / "builds"
    packages = base / f"{commit[:16]}-py{sys.version_info.major}{sys.version_info.minor}"
    if not packages.is_dir():
        base.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=base) as folder:
            made = _unpacked(_wheel(commit, Path(folder) / "source"), Path(folder) / "packages")
            try:
                made.rename(packages)
            except OSError:
                assert packages.is_dir()  # another run was faster
    return OtherBuild(packages)


def _commit(name: str) -> str:
    found = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "-q", "--verify", f"{name}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip()


def _wheel(commit: str, source: Path) -> Path:
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--format=zip", commit], capture_output=True, check=True
    ).stdout
    with zipfile.ZipFile(BytesIO(archive)) as packed:
        packed.extractall(source)
    # Its page takes minutes to build and is not looked at; what is there already is not built.
    for name in ("static/style.js", "package.json"):
        path = source / "aiinfn_lab/labextension" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--target",
            "wheel",
            "--directory",
            str(source / "dist"),
        ],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = (source / "dist").glob("aiinfn-*.whl")
    return wheel


def _unpacked(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder
