"""The files by which a session's uid has a name and its login shells keep the path."""

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.contract import posix_accounts
from aiinfn_hub.platform.slugs import slug


@pytest.mark.parametrize(
    ("name", "login"),
    [
        ("ada", "ada"),
        ("ada.lovelace", "ada.lovelace"),
        ("_x-1", "_x-1"),
        ("root", "user-root"),
        ("nobody", "user-nobody"),
        ("Ada", slug("Ada")),
        ("ada:x", slug("ada:x")),
        ("1st", slug("1st")),
    ],
)
def test_a_person_is_called_as_an_account_can_be(name: str, login: str) -> None:
    assert posix_accounts.login_name(name, slug(name)) == login


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_nothing_in_a_name_makes_a_second_entry(name: str, title: str, home: str) -> None:
    login = posix_accounts.login_name(name, slug(name))
    text = posix_accounts.passwd(posix_accounts.BASE_ACCOUNTS, login, 1000, 1000, title, home, "/bin/bash")
    lines = text.split("\n")
    assert lines[1:] == [*posix_accounts.BASE_ACCOUNTS.splitlines(), ""]
    assert len(text.splitlines()) == 3
    fields = lines[0].split(":")
    assert len(fields) == 7
    assert fields[:4] == [login, "x", "1000", "1000"]
    assert posix_accounts.group(posix_accounts.BASE_GROUPS, login, 1000).split("\n")[0] == f"{login}:x:1000:"


def test_an_entry_of_the_same_uid_makes_room() -> None:
    base = "root:x:0:0::/:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/bash\n"
    found = posix_accounts.passwd(base, "ada", 1000, 1000, "Ada", "/home/user", "/bin/bash")
    assert found == "ada:x:1000:1000:Ada:/home/user:/bin/bash\nroot:x:0:0::/:/bin/sh\n"


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    ("lost", "path", "found"),
    [
        ("/image/bin:/usr/bin", "/usr/local/bin:/usr/bin", "/image/bin:/usr/local/bin:/usr/bin"),
        ("/a b/bin:/c*:/usr/bin:/d", "/usr/bin", "/a b/bin:/c*:/d:/usr/bin"),
        ("/usr/bin", "/usr/bin:/x", "/usr/bin:/x"),
        ("", "/usr/bin", "/usr/bin"),
        (None, "/usr/bin", "/usr/bin"),
    ],
)
def test_a_login_shell_finds_what_the_server_has_in_its_path(
    shell: str, lost: str | None, path: str, found: str
) -> None:
    environment = {"PATH": os.defpath} | ({} if lost is None else {posix_accounts.PATH: lost})
    script = f"set -eu; PATH='{path}'\n{posix_accounts.PROFILE}\nprintf %s \"$PATH\""
    done = subprocess.run([shell, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == found
