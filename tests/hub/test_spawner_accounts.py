"""Accounts of the local back end: one uid and one private home for each person, kept for good."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.accounts import FIRST_UID, AccountError, Accounts, slug

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give people a uid each")


@pytest.fixture
def data() -> Iterator[Path]:
    """Give a folder that other uids can pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-accounts-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["ada", "ada-lovelace", "user007"])
def test_a_safe_name_is_kept(name):
    assert slug(name) == name


@pytest.mark.parametrize("name", ["Ada", "ada@infn.it", "a--b", "../../etc", "9lives", "émile", "", "a" * 64])
def test_any_other_name_becomes_a_safe_one(name):
    assert "---" in slug(name)


@given(st.text(max_size=300), st.text(max_size=300))
def test_slugs_are_safe_and_two_names_never_share_one(one, other):
    first, second = slug(one), slug(other)
    assert (first == second) == (one == other)
    for made in (first, second):
        assert 1 <= len(made) <= 63
        assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert made[0] != "-"
        assert made[-1] != "-"


@as_root
def test_everybody_gets_a_uid_and_a_private_home_that_last(data):
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
def test_a_person_cannot_read_what_is_anothers(data):
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
def test_two_processes_that_allocate_at_once_give_no_uid_twice(data):
    Accounts(data)
    code = (
        "import sys; from pathlib import Path; from aiinfn_hub.accounts import Accounts\n"
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
def test_a_home_from_the_time_of_one_shared_uid_is_handed_over_without_following_links(data):
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
def test_where_nobody_else_can_reach_the_data_all_share_a_uid_and_are_told_why(tmp_path):
    tmp_path.chmod(0o700)
    accounts = Accounts(tmp_path / "data")
    assert not accounts.separate
    assert str(accounts.notice).endswith(
        "read each other's files: other system accounts cannot reach the data folder."
    )
    assert accounts.get("ada").uid is None
    with pytest.raises(AccountError, match="cannot reach the data folder"):
        Accounts(tmp_path / "data", separate=True)


def test_when_told_so_all_share_the_uid_of_the_process(tmp_path):
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
