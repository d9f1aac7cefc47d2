"""The platform file is read again when it changes; what cannot be taken leaves the last good state."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.loading.reload import PlatformFile

BASE = """
images: {standard: {title: Standard, reference: registry.example/standard:1}}
sizes: {small: {title: Small, cores: 1, memory: 1Gi}}
projects: {flavour: {title: Flavour, groups: [/aiinfn/flavour]}}
"""
ABOVE = "extends: [base.yaml]\ntitle: Above\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "site.yaml").write_text(ABOVE)
    return tmp_path


@pytest.fixture
def platform(files: Path) -> PlatformFile:
    return PlatformFile.open(files / "site.yaml")


def test_nothing_new_is_nothing_read(platform: PlatformFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "examine", lambda _path: pytest.fail("the files did not change"))
    assert not platform.look()


def test_a_change_is_in_force_at_the_next_look_and_told(platform: PlatformFile, files: Path) -> None:
    told: list[Any] = []
    before = platform.version
    platform.listen(told.append)
    (files / "site.yaml").write_text(ABOVE + "limits: {grace: 7s}\n")
    assert platform.look()
    assert platform.current.limits.grace.total_seconds() == 7
    assert told == [platform.current]
    assert platform.version != before
    assert not platform.look()


def test_a_change_of_a_file_below_counts(platform: PlatformFile, files: Path) -> None:
    (files / "base.yaml").write_text(BASE.replace("title: Flavour", "title: Flavour physics"))
    assert platform.look()
    assert platform.current.projects["flavour"].title == "Flavour physics"


def test_a_file_that_is_newly_named_is_followed_from_then_on(platform: PlatformFile, files: Path) -> None:
    (files / "event.yaml").write_text("title: Event\n")
    (files / "site.yaml").write_text("extends: [base.yaml, event.yaml]\n")
    assert platform.look()
    assert platform.current.title == "Event"
    (files / "event.yaml").write_text("title: Second event\n")
    assert platform.look()
    assert platform.current.title == "Second event"


def test_the_same_content_written_anew_is_no_change(platform: PlatformFile, files: Path) -> None:
    version = platform.version
    os.utime(files / "site.yaml", (1, 1))
    assert not platform.look()
    assert platform.version == version


def test_two_processes_with_the_same_file_have_the_same_version(platform: PlatformFile, files: Path) -> None:
    assert PlatformFile.open(files / "site.yaml").version == platform.version


def test_a_broken_change_leaves_the_last_good_state_and_says_what_is_wrong(
    platform: PlatformFile, files: Path
) -> None:
    good = platform.current
    (files / "site.yaml").write_text(ABOVE + "limitz: {}\n")
    assert not platform.look()
    assert platform.problem == ""  # it may be half written
    assert not platform.look()
    assert "site.yaml, line 3, limitz" in platform.problem
    assert "limits" in platform.problem
    assert platform.current is good
    (files / "site.yaml").write_text(ABOVE)
    platform.look()
    assert platform.problem == ""


def test_a_half_written_file_is_not_complained_of(
    platform: PlatformFile, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (files / "site.yaml").write_text("exten")
    assert not platform.look()
    (files / "site.yaml").write_text(ABOVE + "limits: {grace: 7s}\n")
    assert platform.look()
    assert platform.problem == ""
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_of_several_problems_the_first_is_told_and_the_others_counted(
    platform: PlatformFile, files: Path
) -> None:
    (files / "site.yaml").write_text(ABOVE + "limitz: {}\nsize: {}\n")
    platform.look()
    platform.look()
    assert "limitz" in platform.problem
    assert "(1 more: run `aiinfn-hub check`.)" in platform.problem


@pytest.mark.parametrize(
    "gone",
    ["site.yaml", "base.yaml"],
)
def test_a_file_that_vanishes_and_comes_back(platform: PlatformFile, files: Path, gone: str) -> None:
    good, text = platform.current, (files / gone).read_text()
    (files / gone).unlink()
    platform.look()
    platform.look()
    assert "there is no such file" in platform.problem
    assert platform.current is good
    (files / gone).write_text(text)
    platform.look()
    assert platform.problem == ""
    assert platform.current == good


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("label_prefix: other.example\n", "label_prefix"),
        ("kubernetes: {batch_namespace: other}\n", "kubernetes.batch_namespace"),
        ("use_real_devices: false\n", "use_real_devices"),
    ],
)
def test_what_takes_a_restart_says_so_and_nothing_of_the_change_is_taken(
    platform: PlatformFile, files: Path, change: str, key: str
) -> None:
    (files / "site.yaml").write_text(ABOVE.replace("Above", "New") + change)
    platform.look()
    assert not platform.look()
    assert f"“{key}”" in platform.problem
    assert "restart" in platform.problem
    assert platform.current.title == "Above"


def test_a_configmap_changes_by_its_link(tmp_path: Path, files: Path) -> None:
    """The kubelet makes a folder with the new files and then turns one link to it."""
    shutil.copytree(files, tmp_path / "..1")
    shutil.copytree(files, tmp_path / "..2")
    (tmp_path / "..2" / "site.yaml").write_text(ABOVE.replace("Above", "Later"))
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "..data").symlink_to(tmp_path / "..1")
    for name in ("site.yaml", "base.yaml"):
        (mount / name).symlink_to(f"..data/{name}")
    platform = PlatformFile.open(mount / "site.yaml")
    (mount / "..new").symlink_to(tmp_path / "..2")
    (mount / "..new").rename(mount / "..data")
    assert platform.look()
    assert platform.current.title == "Later"


def test_a_fixed_platform_never_changes(platform: PlatformFile) -> None:
    fixed = PlatformFile.fixed(platform.current)
    assert not fixed.look()
    assert fixed.current is platform.current
