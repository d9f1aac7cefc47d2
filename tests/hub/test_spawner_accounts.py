"""Accounts of the local back end: one uid and one private home for each person, kept for good."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from aiinfn_hub.host.accounts import FIRST_UID, AccountError, Accounts
from aiinfn_hub.platform.model.storage import Storage
from aiinfn_hub.platform.slugs import slug
from aiinfn_hub.storage import local_mounts

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give people a uid each")


@pytest.fixture
def data() -> Iterator[Path]:
    """Give a folder that other uids can pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-accounts-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.mark.parametrize("separate", [pytest.param(True, marks=as_root), False])
def test_a_home_under_its_former_name_is_found_and_old_paths_still_lead_there(
    data: Path, separate: bool
) -> None:
    name = "123456789012345678@infn.it"
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    former = data / "homes" / f"x-123456789012345678---{digest}"
    former.mkdir(parents=True)
    (former / "thesis.txt").write_text("years of work")
    assert slug(name) != former.name, "the case for which this exists"
    for _ in range(2):  # the first start moves it, later ones find it
        account = Accounts(data, separate=separate).get(name)
        assert account.home == data / "homes" / slug(name)
        assert (account.home / "thesis.txt").read_text() == "years of work"
    assert (former / "thesis.txt").read_text() == "years of work"
    if separate:
        assert account.home.stat().st_uid == account.uid == (account.home / "thesis.txt").stat().st_uid


def test_two_homes_of_one_person_are_never_merged(data: Path) -> None:
    name = "123456789012345678@infn.it"
    former = data / "homes" / f"x-123456789012345678---{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    for home in (former, data / "homes" / slug(name)):
        home.mkdir(parents=True)
        (home / "a.txt").write_text(home.name)
    account = Accounts(data, separate=False).get(name)
    assert (account.home / "a.txt").read_text() == slug(name)
    assert (former / "a.txt").read_text() == former.name


@as_root
def test_everybody_gets_a_uid_and_a_private_home_that_last(data: Path) -> None:
    accounts = Accounts(data)
    assert accounts.separate
    assert str(accounts.notice) == ""
    ada, ben = accounts.get("ada"), accounts.get("Ben Müller")
    assert ada.uid is not None
    assert FIRST_UID <= ada.uid != ben.uid
    for account in (ada, ben):
        status = account.home.stat()
        assert (status.st_uid, status.st_mode & 0o777) == (account.uid, 0o700)
    assert Accounts(data).get("ada") == ada
    assert set(json.loads((data / "accounts.json").read_text())) == {"ada", "Ben Müller"}


@as_root
def test_a_person_cannot_read_what_is_anothers(data: Path) -> None:
    accounts = Accounts(data)
    secret = accounts.get("ada").home / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    ben = accounts.get("ben")
    done = subprocess.run(
        ["cat", str(secret)], cwd=ben.home, stderr=subprocess.PIPE, check=False, **ben.process_options()
    )
    assert done.returncode != 0
    assert b"Permission denied" in done.stderr


@as_root
def test_two_processes_that_allocate_at_once_give_no_uid_twice(data: Path) -> None:
    Accounts(data)
    code = (
        "import sys; from pathlib import Path; from aiinfn_hub.host.accounts import Accounts\n"
        "accounts = Accounts(Path(sys.argv[1]))\n"
        "for number in range(20): accounts.get(f'{sys.argv[2]}{number}')"
    )
    with ThreadPoolExecutor() as pool:
        for done in pool.map(
            lambda name: subprocess.run([sys.executable, "-c", code, str(data), name], check=False),
            ["a", "b", "c"],
        ):
            assert done.returncode == 0
    uids = json.loads((data / "accounts.json").read_text()).values()
    assert len(uids) == len(set(uids)) == 60


@as_root
def test_a_home_from_the_time_of_one_shared_uid_is_handed_over_without_following_links(data: Path) -> None:
    shared = Accounts(data, separate=False)
    home = shared.get("ada").home
    (home / "notes").mkdir()
    (home / "notes/a.txt").write_text("x")
    outside = data / "outside"
    outside.write_text("not ada's")
    (home / "link").symlink_to(outside)
    ada = Accounts(data).get("ada")
    assert (home / "notes/a.txt").stat().st_uid == ada.uid
    assert outside.stat().st_uid == os.geteuid()


@as_root
def test_where_nobody_else_can_reach_the_data_all_share_a_uid_and_are_told_why(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    accounts = Accounts(tmp_path / "data")
    assert not accounts.separate
    assert str(accounts.notice).endswith(
        "read each other's files: other system accounts cannot reach the data folder."
    )
    assert accounts.get("ada").uid is None
    with pytest.raises(AccountError, match="cannot reach the data folder"):
        Accounts(tmp_path / "data", separate=True)


def test_when_told_so_all_share_the_uid_of_the_process(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path / "data", separate=False)
    account = accounts.get("Ada")
    assert account.uid is None
    assert account.home.is_dir()
    assert account.home.stat().st_mode & 0o777 == 0o700
    assert "the configuration says so" in str(accounts.notice)
    done = subprocess.run(
        ["id", "-u"], capture_output=True, text=True, check=True, **account.process_options()
    )
    assert int(done.stdout) == os.geteuid()


@pytest.mark.parametrize("separate", [pytest.param(True, marks=as_root), False])
@pytest.mark.parametrize("name", ["ada", "Ada Müller"])
def test_an_archived_home_is_out_of_reach_and_the_next_person_has_an_empty_one_and_another_uid(
    data: Path, separate: bool, name: str
) -> None:
    accounts = Accounts(data, separate)
    first = accounts.get(name)
    (first.home / "secret.txt").write_text("x")
    assert accounts.home_of(name) == first.home
    accounts.archive(name, "1")
    archived = accounts.archived(name, "1")
    assert (archived / "secret.txt").read_text() == "x"
    assert archived.parent.stat().st_mode & 0o777 == 0o700
    assert archived.parent.stat().st_uid == os.geteuid()
    assert accounts.home_of(name) is None
    second = Accounts(data, separate).get(name)
    assert second.home == first.home
    assert list(second.home.iterdir()) == []
    if separate:
        assert second.uid != first.uid
        assert second.home.stat().st_uid == second.uid
        reading = ["cat", str(archived / "secret.txt")]
        done = subprocess.run(reading, stderr=subprocess.PIPE, check=False, **second.process_options())
        assert b"Permission denied" in done.stderr
    # The third one too, and what an earlier call began is finished by another one.
    (second.home / "mine.txt").write_text("y")
    accounts.archive(name, "2")
    accounts.archive(name, "2")
    assert (accounts.archived(name, "2") / "mine.txt").exists()
    third = accounts.get(name)
    assert not separate or third.uid not in {first.uid, second.uid}


@pytest.mark.parametrize("separate", [pytest.param(True, marks=as_root), False])
def test_the_next_person_of_a_name_finds_no_scratch_space_of_the_first(data: Path, separate: bool) -> None:
    storage = Storage.model_validate({"title": "Scratch", "use": "scratch", "mount": "/scratch"})
    platform = SimpleNamespace(storage={"scratch": storage})
    granted = SimpleNamespace(storage=("scratch",), project="one")
    accounts = Accounts(data, separate)
    first = accounts.get("ada")
    local_mounts.link(first, granted, platform, data)  # type: ignore[arg-type]
    (first.home / "scratch/secret.txt").write_text("x")
    # Also a release that was cut short once, and is done again.
    shutil.rmtree(first.home)
    accounts.archive("ada", "1")
    second = accounts.get("ada")
    local_mounts.link(second, granted, platform, data)  # type: ignore[arg-type]
    assert list((second.home / "scratch").iterdir()) == []
    archived = accounts.archived("ada", "1").with_name("ada-1-scratch")
    assert (archived / "secret.txt").read_text() == "x"
    assert archived.parent.stat().st_mode & 0o777 == 0o700


@as_root
def test_scratch_space_goes_with_its_person_to_another_uid(data: Path) -> None:
    platform = SimpleNamespace(
        storage={
            "scratch": Storage.model_validate({"title": "Scratch", "use": "scratch", "mount": "/scratch"})
        }
    )
    granted = SimpleNamespace(storage=("scratch",), project="one")
    shared = Accounts(data, separate=False).get("ada")
    local_mounts.link(shared, granted, platform, data)  # type: ignore[arg-type]
    (shared.home / "scratch/mine.txt").write_text("x")
    ada = Accounts(data).get("ada")
    local_mounts.link(ada, granted, platform, data)  # type: ignore[arg-type]
    assert (ada.home / "scratch/mine.txt").stat().st_uid == ada.uid
    assert (ada.home / "scratch").stat().st_uid == ada.uid


def test_nothing_is_archived_of_whom_there_is_nothing(data: Path) -> None:
    accounts = Accounts(data, separate=False)
    assert accounts.home_of("ada") is None
    accounts.archive("ada", "1")
    assert not accounts.archived("ada", "1").exists()
    assert accounts.home_of("ada") is None


@as_root
def test_the_processes_of_a_person_are_counted(data: Path) -> None:
    accounts = Accounts(data)
    assert accounts.processes_of("ada") == 0
    ada = accounts.get("ada")
    process = subprocess.Popen(["sleep", "60"], cwd=ada.home, **ada.process_options())
    try:
        assert accounts.processes_of("ada") == 1
        assert accounts.processes_of("ben") == 0
    finally:
        process.kill()
        process.wait()
    assert accounts.processes_of("ada") == 0


@as_root
def test_people_of_two_data_folders_never_share_a_uid(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIINFN_UIDS", str(data.parent / "list/uids.json"))
    first, second = data / "first", data / "second"
    ada = Accounts(first).get("ada")
    ben = Accounts(second).get("ben")
    assert ada.uid != ben.uid
    secret = ada.home / "secret"
    secret.write_text("ada's")
    done = subprocess.run(
        ["cat", str(secret)], cwd=ben.home, stderr=subprocess.PIPE, check=False, **ben.process_options()
    )
    assert b"Permission denied" in done.stderr
    assert (data.parent / "list/uids.json").stat().st_mode & 0o777 == 0o600
    # Each keeps what it has, by whatever path it is reached.
    (data / "alias").symlink_to(first)
    assert Accounts(data / "alias").get("ada").uid == Accounts(first).get("ada").uid == ada.uid
    assert Accounts(second).get("ben").uid == ben.uid
    # What a folder had that is gone can be given out again.
    shutil.rmtree(first)
    assert Accounts(data / "third").get("cleo").uid == ada.uid


@as_root
def test_two_data_folders_that_gave_out_the_same_uid_part(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it was before there was a list of the machine: each counted from the first."""
    monkeypatch.setenv("AIINFN_UIDS", str(data.parent / "none/uids.json"))
    first, second = data / "first", data / "second"
    for folder, name in ((first, "ada"), (second, "ben")):
        monkeypatch.setenv("AIINFN_UIDS", str(data.parent / name / "uids.json"))
        account = Accounts(folder).get(name)
        (account.home / "work").write_text(name)
        os.chown(account.home / "work", account.uid, account.uid)  # type: ignore[arg-type]
        assert account.uid == FIRST_UID
    monkeypatch.setenv("AIINFN_UIDS", str(data.parent / "common/uids.json"))
    ada, ben = Accounts(first).get("ada"), Accounts(second).get("ben")
    assert ada.uid == FIRST_UID != ben.uid
    assert (ben.home / "work").stat().st_uid == ben.home.stat().st_uid == ben.uid
    assert (ben.home / "work").read_text() == "ben"


@as_root
def test_two_platforms_that_allocate_at_once_give_no_uid_twice(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIINFN_UIDS", str(data.parent / "list/uids.json"))
    code = (
        "import sys; from pathlib import Path; from aiinfn_hub.host.accounts import Accounts\n"
        "accounts = Accounts(Path(sys.argv[1]))\n"
        "for number in range(15): accounts.get(f'p{number}')"
    )
    folders = [data / name for name in "abc"]
    with ThreadPoolExecutor() as pool:
        for done in pool.map(
            lambda folder: subprocess.run([sys.executable, "-c", code, str(folder)], check=False), folders
        ):
            assert done.returncode == 0
    uids = [uid for folder in folders for uid in json.loads((folder / "accounts.json").read_text()).values()]
    assert len(uids) == len(set(uids)) == 45


@as_root
def test_a_machine_without_a_place_for_the_list_has_accounts_all_the_same(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIINFN_UIDS", "/proc/nowhere/uids.json")
    assert Accounts(data).get("ada").uid >= FIRST_UID  # type: ignore[operator]
