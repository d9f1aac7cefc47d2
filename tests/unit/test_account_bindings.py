"""Whose an account is, as the hub asks it: what happens while the table is away, and what a deleted user leaves behind."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.web import HTTPError

from aiinfn_hub.auth.accounts.authenticator import AccountAuthenticator
from aiinfn_hub.auth.accounts.bindings import Bindings
from aiinfn_hub.auth.accounts.problems import AccountReleasedError, AccountsUnavailableError
from aiinfn_hub.auth.accounts.release import ReleaseHandler
from aiinfn_hub.auth.database.accounts import Identity, TakenError
from aiinfn_hub.host.accounts import Accounts
from aiinfn_hub.spawner.session import SessionMixin, forget_endings

ADA = Identity.of("https://iam.example.org", "1")
EVE = Identity.of("https://iam.example.org", "2")
LOG = logging.getLogger("test")


async def test_while_the_table_is_away_nobody_signs_in_and_the_hub_still_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "accounts.sqlite"
    file.write_bytes(b"no database" * 1000)
    bindings = Bindings(f"sqlite:///{file}", LOG)
    with pytest.raises(AccountsUnavailableError) as problem:
        await bindings.account_for("ada", ADA)
    assert problem.value.status_code == 503
    assert "try again" in problem.value.jupyterhub_message
    await bindings.register("ada")
    assert "The account ada could not be noted" in caplog.text
    assert not any(record.exc_info for record in caplog.records)
    file.unlink()
    await bindings.bind("ada", ADA)
    assert (await bindings.get("ada")).identity == ADA


async def test_a_refusal_is_one_line_in_the_log_that_cannot_be_forged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bindings = Bindings(f"sqlite:///{tmp_path / 'accounts.sqlite'}", LOG)
    await bindings.bind("ada", ADA)
    caplog.clear()
    with pytest.raises(TakenError):
        await bindings.account_for("ada", Identity.of("https://iam.example.org", "2\nSign-in of 1 succeeded"))
    (line,) = caplog.messages
    assert line.startswith("Sign-in refused: ")
    assert "\n" not in line


async def test_tokens_of_a_deleted_user_are_not_the_next_persons_of_that_name(tmp_path: Path) -> None:
    authenticator = AccountAuthenticator(
        openid_provider_url="https://iam.example.org",
        accounts_url=f"sqlite:///{tmp_path / 'accounts.sqlite'}",
    )
    wallet = authenticator._wallets.of("ada")
    authenticator.delete_user(SimpleNamespace(name="ada"))
    assert authenticator._wallets.of("ada") is not wallet


async def test_whoever_is_just_signing_in_while_a_release_begins_does_not_get_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = AccountAuthenticator(
        openid_provider_url="https://iam.example.org",
        accounts_url=f"sqlite:///{tmp_path / 'accounts.sqlite'}",
        allow_all=True,
    )
    info = {authenticator.user_auth_state_key: {"sub": "1", "groups": []}}
    model = {"name": "ada", "admin": False, "groups": [], "auth_state": info}
    model = await authenticator.update_auth_model(model)
    authenticator.accounts.releasing.add("ada")
    with pytest.raises(AccountReleasedError):
        await authenticator.check_allowed("ada", model)
    assert await authenticator.accounts.get("ada") is None
    authenticator.accounts.releasing.clear()
    assert await authenticator.check_allowed("ada", model)
    assert (await authenticator.accounts.get("ada")).identity == ADA


async def test_a_session_that_starts_while_its_owners_name_is_released_keeps_the_account(
    tmp_path: Path,
) -> None:
    """They are signed in until the user is deleted, and vkd takes a while to look at their jobs."""
    spawner = SimpleNamespace(active=False, pending=None)
    deleted: list[Any] = []

    class Vkd:
        async def release_user(self, _name: Any, _released_as: Any, *, dry_run: Any) -> int:
            spawner.pending = "spawn"
            assert dry_run
            return 0

    accounts = Accounts(tmp_path, separate=False)
    (accounts.get("ada").home / "thesis.txt").write_text("x")
    ada = SimpleNamespace(name="ada", spawners={"": spawner})
    bindings = Bindings(f"sqlite:///{tmp_path / 'accounts.sqlite'}", LOG)
    await bindings.bind("ada", ADA)
    handler = SimpleNamespace(
        authenticator=SimpleNamespace(accounts=bindings, delete_user=deleted.append),
        find_user=lambda _name: ada,
        log=LOG,
        _homes=accounts,
        _vkd=Vkd(),
    )
    with pytest.raises(HTTPError, match="Sessions of ada run: the default one"):
        await ReleaseHandler._release(handler, "ada", dry_run=False, home_moved=False)  # type: ignore[arg-type]
    assert deleted == []
    assert (accounts.get("ada").home / "thesis.txt").exists()
    assert (await bindings.get("ada")).identity == ADA


def test_why_sessions_ended_is_forgotten_with_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionMixin, "endings", {"ada": "x", "ada/second": "y", "adam": "z"})
    forget_endings("ada")
    assert SessionMixin.endings == {"adam": "z"}
