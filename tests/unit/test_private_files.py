"""What the platform keeps for itself cannot be read by others, also what an older version left open."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.host.private_files import keep_private, read_secrets, write_secrets
from aiinfn_hub.vkd.settings import SettingsError, VkdSettings
from aiinfn_lab.paths import private_folder

pytestmark = pytest.mark.usefixtures("restored_umask")


def mode(path: Path) -> Any:
    return stat.S_IMODE(path.lstat().st_mode)


def test_what_was_left_open_is_closed_and_what_comes_is_closed(tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    outside.write_text("somebody else's")
    for name in ("hub", "vkd/jobs", "logs", "homes/ada"):
        (data / name).mkdir(parents=True)
    for name in (
        "hub/jupyterhub.sqlite",
        "vkd/vkd.sqlite-wal",
        "logs/hub.log",
        "accounts.json",
        "homes/ada/x",
    ):
        (data / name).write_text("x")
    (data / "hub/link").symlink_to(outside)
    for path in (data, *data.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)
    keep_private(data)
    for name in ("hub", "vkd", "logs"):
        assert mode(data / name) == 0o700
    for name in ("hub/jupyterhub.sqlite", "vkd/vkd.sqlite-wal", "logs/hub.log", "accounts.json"):
        assert mode(data / name) == 0o600
    # People pass through to their homes, whose modes are their own.
    assert mode(data) == 0o711
    assert (mode(data / "homes/ada"), mode(data / "homes/ada/x")) == (0o777, 0o666)
    assert mode(outside) == 0o644
    (data / "hub/new").write_text("x")
    assert mode(data / "hub/new") == 0o600


def test_a_folder_that_is_not_there_is_made_so_that_people_can_pass_through(tmp_path: Path) -> None:
    keep_private(tmp_path / "above/data")
    assert (mode(tmp_path / "above"), mode(tmp_path / "above/data")) == (0o755, 0o711)


def test_vkd_reads_its_secrets_from_a_file_that_only_its_account_reads(tmp_path: Path) -> None:
    place = tmp_path / "vkd.secrets"
    write_secrets(place, {"AIINFN_TICKET_KEY": "old"})
    write_secrets(
        place, {"AIINFN_TICKET_KEY": "k", "AIINFN_VKD_DATABASE": "postgresql+asyncpg://vkd:password@db/vkd"}
    )
    assert mode(place) == 0o600
    assert list(tmp_path.iterdir()) == [place]
    settings = VkdSettings.of({"AIINFN_VKD_SECRETS": str(place), "AIINFN_DATA": str(tmp_path)})
    assert (settings.ticket_key, settings.database) == ("k", "postgresql+asyncpg://vkd:password@db/vkd")
    assert settings.ticket_key == read_secrets(place)["AIINFN_TICKET_KEY"]


def test_secrets_that_are_there_already_need_no_room_and_others_leave_nothing_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "vkd.secrets"
    write_secrets(place, {"AIINFN_TICKET_KEY": "old"})

    def full(_descriptor: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    write_secrets(place, {"AIINFN_TICKET_KEY": "old"})
    with pytest.raises(OSError, match="No space left"):
        write_secrets(place, {"AIINFN_TICKET_KEY": "new"})
    assert list(tmp_path.iterdir()) == [place]
    assert read_secrets(place) == {"AIINFN_TICKET_KEY": "old"}


@pytest.mark.parametrize("text", [None, "", "[]", "nonsense"])
def test_secrets_that_cannot_be_read_are_told(tmp_path: Path, text: str | None) -> None:
    place = tmp_path / "vkd.secrets"
    if text is not None:
        place.write_text(text)
    with pytest.raises(SettingsError, match="cannot be read"):
        VkdSettings.of({"AIINFN_VKD_SECRETS": str(place)})


def test_each_missing_level_of_a_folder_in_the_home_is_its_owners_only(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        made = private_folder(tmp_path, "open/one/two")
        assert private_folder(tmp_path, "open/one/two") == made == tmp_path / "open/one/two"
    finally:
        os.umask(before)
    modes = [
        stat.S_IMODE((tmp_path / place).stat().st_mode) for place in ("open", "open/one", "open/one/two")
    ]
    assert modes == [0o755, 0o700, 0o700]
