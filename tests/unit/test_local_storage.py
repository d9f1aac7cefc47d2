"""Storage of the platform file on one machine: links in the home, and words for what cannot be had."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aiinfn_hub.cli.platform import check
from aiinfn_hub.host.accounts import Account
from aiinfn_hub.platform.gate import offer, resolve
from aiinfn_hub.platform.loading.loader import examine
from aiinfn_hub.platform.model.platform import Platform
from aiinfn_hub.platform.person import Person
from aiinfn_hub.platform.selection import Door, Selection
from aiinfn_hub.spawner.unavailable import missing
from aiinfn_hub.storage import local_mounts

FILE = """\
images: {std: {title: Std, reference: "a:1"}}
sizes: {s: {title: S, cores: 1, memory: 1Gi}}
projects: {one: {title: One, groups: [a]}, two: {title: Two, groups: [a]}}
storage:
  home: {title: Home, use: home, mount: /home/user, local: {kind: folder, path: /home}}
  data: {title: Detector data, use: share, mount: /data, read_only: true, local: {kind: folder, path: "PATH/data"}}
  common: {title: Project share, use: share, mount: /shared, local: {kind: folder, path: "PATH/{project}"}}
  away: {title: Far away, use: share, mount: /away, projects: [one]}
  scratch: {title: Scratch, use: scratch, mount: /scratch}
"""


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    path = tmp_path / "platform.yaml"
    path.write_text(FILE.replace("PATH", str(tmp_path)))
    found = examine(path)
    assert found.platform is not None, list(map(str, found.problems))
    return found.platform


@pytest.fixture
def account(tmp_path: Path) -> Account:
    home = tmp_path / "home"
    home.mkdir()
    return Account("ada", "ada", None, None, home)


def granted(platform: Platform, project: str) -> Selection:
    return resolve({"project": project}, platform, Person.of("ada", ["a"]), Door.SESSION)


def links(account: Account) -> dict[str, str]:
    return {each.name: str(each.readlink()) for each in account.home.iterdir() if each.is_symlink()}


def test_a_home_has_links_to_what_was_granted(
    platform: Platform, account: Account, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in ("data", "one", "two"):
        (tmp_path / name).mkdir()
    local_mounts.link(account, granted(platform, "one"), platform, tmp_path)
    local_mounts.link(account, granted(platform, "one"), platform, tmp_path)
    expected = {
        "data": f"{tmp_path}/data",
        "common-one": f"{tmp_path}/one",
        "scratch": f"{tmp_path}/scratch/ada",
    }
    assert links(account) == expected
    assert (account.home / "scratch").is_dir()
    assert (tmp_path / "scratch/ada").stat().st_mode & 0o777 == 0o700
    assert "storage away is not there on one machine" in caplog.text
    local_mounts.link(account, granted(platform, "two"), platform, tmp_path)
    assert links(account) == expected | {"common-two": f"{tmp_path}/two"}


def test_what_is_in_the_way_stays(
    platform: Platform, account: Account, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mine").mkdir()
    (account.home / "data").write_text("precious")
    (account.home / "common-one").symlink_to(tmp_path / "mine")
    (account.home / "scratch").symlink_to(tmp_path / "gone")
    local_mounts.link(account, granted(platform, "one"), platform, tmp_path)
    assert (account.home / "data").read_text() == "precious"
    assert links(account) == {"common-one": f"{tmp_path}/mine", "scratch": f"{tmp_path}/scratch/ada"}
    assert "storage data is not in the home of ada: File exists" in caplog.text


def test_a_home_that_is_a_link_is_not_followed(
    platform: Platform, account: Account, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    account.home.rmdir()
    (tmp_path / "elsewhere").mkdir()
    account.home.symlink_to(tmp_path / "elsewhere")
    local_mounts.link(account, granted(platform, "one"), platform, tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert "storage data is not in the home of ada" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_took_the_place_of_a_link_is_not_given_away(
    platform: Platform, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home's owner puts a hard link to another's file there, as soon as the name appears."""
    theirs = replace(account, uid=60123, gid=60123)
    secret = tmp_path / "of-root"
    secret.write_text("x")
    (tmp_path / "data").mkdir()
    symlink = os.symlink

    def exchanged(target: Any, name: str, *, dir_fd: Any) -> None:
        symlink(target, name, dir_fd=dir_fd)
        os.unlink(name, dir_fd=dir_fd)
        os.link(secret, account.home / name)

    monkeypatch.setattr(os, "symlink", exchanged)
    local_mounts.link(theirs, granted(platform, "one"), platform, tmp_path)
    assert (account.home / "data").samefile(secret)
    assert secret.stat().st_uid == 0


def test_what_an_older_version_granted_has_no_links(
    platform: Platform, account: Account, tmp_path: Path
) -> None:
    old = granted(platform, "one").model_copy(update={"storage": None, "time_limit": timedelta(hours=1)})
    local_mounts.link(account, old, platform, tmp_path)
    assert links(account) == {}


def test_check_and_the_form_say_what_is_not_there(platform: Platform, tmp_path: Path) -> None:
    said = CliRunner().invoke(check, [str(tmp_path / "platform.yaml")])
    assert said.exit_code == 0
    for words in (
        "storage.home: homes are in the data folder on one machine; local is not used.",
        "storage.away: it is not there on one machine; write for example local: {kind: folder, path: /srv/away}",
        "storage.scratch: on one machine, scratch space is a folder of its own for each person",
        "storage.data: read_only is not enforced on one machine",
    ):
        assert words in said.output
    (title, groups), *_ = missing(offer(platform, Person.of("ada", ["a"])), {"none"})
    assert title == "Folders"
    assert [each.reason for each in groups[0].things] == ["Far away is not on this machine."]


@pytest.mark.parametrize("path", ["relative", "/", "/a/../b", "/a/{x}", "/a/{person"])
def test_a_path_that_is_none_is_refused(tmp_path: Path, path: str) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(FILE.replace('"PATH/data"', f'"{path}"'))
    assert "storage.data.local.path" in [each.key for each in examine(file).problems]


@pytest.mark.parametrize(
    ("storage", "says"),
    [
        ("{}", "there is no home for p1; what people write there is gone with the session"),
        (
            "{h: {title: H, use: home, mount: /h, kubernetes: {kind: claim, claim: homes}}}",
            "storage.h: it does not name {person}, so that everybody has the same home",
        ),
    ],
)
def test_on_kubernetes_check_says_where_homes_are_not_ones_own(
    tmp_path: Path, storage: str, says: str
) -> None:
    file = Path(tmp_path / "platform.yaml")
    file.write_text(
        'backend: kubernetes\nimages: {std: {title: Std, reference: "a:1"}}\nsizes: {s: {title: S, cores: 1, memory: 1Gi}}\n'
        f"projects: {{p1: {{title: P1, groups: [a]}}}}\nstorage: {storage}\n"
    )
    assert says in CliRunner().invoke(check, [str(file)]).output
