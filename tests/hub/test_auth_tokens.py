"""Tokens of sessions: what is asked for, what may be handed out, and what is remembered."""

import base64
import json
import time
from typing import Any

import pytest

from aiinfn_hub.auth import tokens
from aiinfn_hub.auth.iam import IAMAuthenticator
from aiinfn_hub.auth.rules import Rules
from aiinfn_hub.auth.session_tokens import SignInAgainError
from aiinfn_hub.auth.tokens import SessionToken, TokenRateError, TokenScopeError, Wallet
from aiinfn_hub.platform.model.platform import Platform

READ = frozenset({"storage.read:/"})


def made(life: float, ago: float = 0.0, audience: str = "") -> SessionToken:
    now = time.time()
    return SessionToken("secret-value", READ, audience, now - ago, now - ago + life)


@pytest.mark.parametrize(
    ("life", "ago", "fresh"),
    [
        (3600, 0, True),
        (3600, 3290, True),
        (3600, 3310, False),
        (60, 29, True),
        (60, 31, False),
        (60, 61, False),
    ],
)
def test_a_token_is_handed_out_while_it_lasts_five_minutes_or_half_of_a_short_life(
    life: int, ago: int, fresh: bool
) -> None:
    token = made(life, ago)
    assert token.fresh(time.time()) is fresh


def test_a_token_shows_itself_to_no_log() -> None:
    assert "secret-value" not in repr(made(60))
    assert "secret-value" not in repr(
        tokens.Wallet(newest={"token_response": {"access_token": "secret-value"}})
    )


def test_of_two_states_the_one_with_newer_tokens_counts_whoever_saved_last() -> None:
    old, new = ({"token_response": {"renewed_at": at}} for at in (1.0, 2.0))
    wallet = Wallet(newest=new)
    assert wallet.latest(old) is new
    assert Wallet(newest=old).latest(new) is new
    assert wallet.latest({"token_response": {}}) is new
    # Signed out everywhere: nothing that the hub remembers may bring somebody back.
    assert wallet.latest(None) is None


def test_a_rotated_refresh_token_replaces_the_old_one_and_leaves_the_hubs_access_token() -> None:
    state = {
        "refresh_token": "old",
        "access_token": "a",
        "token_response": {"access_token": "a", "refresh_token": "old"},
    }
    after = tokens.with_refresh_token(state, "new", 5.0)
    assert after["refresh_token"] == after["token_response"]["refresh_token"] == "new"
    assert after["access_token"] == after["token_response"]["access_token"] == "a"
    assert tokens.renewed_at(after) == 5.0
    assert state["token_response"]["refresh_token"] == "old"  # type: ignore[index]


@pytest.mark.parametrize(
    ("audience", "more"),
    [
        ("", {}),
        ("storage", {"audience": "storage"}),
        ("https://s.example.org", {"audience": "https://s.example.org", "resource": "https://s.example.org"}),
    ],
)
def test_a_request_names_scopes_and_audience_as_both_standards_do(
    audience: str, more: dict[str, Any]
) -> None:
    asked = tokens.narrow_request({"refresh_token": "r"}, {"b", "a"}, audience)
    assert asked == {"refresh_token": "r", "scope": "a b"} | more


def signed(**claims: Any) -> str:
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims, 0)
    )


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("x", "storage.read:/ profile openid"),
        (signed(scope="storage.read:/ openid profile"), "storage.read:/"),
        (signed(scope="profile openid"), None),
    ],
    ids=["said", "inside", "inside only"],
)
def test_a_token_that_can_do_more_than_was_asked_for_is_not_handed_out(token: str, said: str | None) -> None:
    with pytest.raises(TokenScopeError, match=r"\Aopenid profile\Z"):
        tokens.session_token({"access_token": token, "scope": said}, READ, "", 0.0)


def test_the_names_of_scopes_that_nobody_asked_for_cannot_break_a_log_line() -> None:
    problem = str(TokenScopeError(["a\nb", *("s" * 300 + str(number) for number in range(300))]))
    assert "\n" not in problem
    assert len(problem) <= 501


@pytest.mark.parametrize(
    ("info", "life"),
    [({"expires_in": 60}, 60), ({}, 300), ({"expires_in": "soon"}, 300), ({"expires_in": 0}, 300)],
)
def test_a_token_without_a_usable_life_is_taken_for_a_short_one(info: dict[str, Any], life: int) -> None:
    token = tokens.session_token({"access_token": "x", **info}, READ, "", 100.0)
    assert token.expires == 100.0 + life
    assert token.scopes == READ


def test_what_is_remembered_is_bounded_and_ends_with_the_token() -> None:
    wallet = Wallet()
    for number in range(100):
        wallet.remember(made(60, audience=str(number)))
    assert wallet.found(READ, "99")
    assert wallet.found(READ, "0") is None
    assert len(wallet._made) == 32
    wallet.remember(made(60, ago=40, audience="old"))
    assert wallet.found(READ, "old") is None
    wallet.forget()
    assert wallet.found(READ, "99") is None


def test_a_program_that_asks_without_end_is_slowed_down() -> None:
    wallet = Wallet()
    for number in range(30):
        wallet.pace(READ, str(number))
        wallet.remember(made(60, audience=str(number)))
    with pytest.raises(TokenRateError) as refused:
        wallet.pace(READ, "")
    assert 0 < refused.value.wait <= 60


def test_what_failed_does_not_use_the_allowance_up_and_is_not_asked_again_at_once() -> None:
    wallet = Wallet()
    problem = SignInAgainError()
    for number in range(100):
        wallet.pace(READ, str(number))
        wallet.failed(READ, str(number), problem)
    with pytest.raises(SignInAgainError):
        wallet.pace(READ, "99")
    wallet.pace(READ, "another")
    assert len(wallet._refused) <= 32


def test_a_state_is_newer_than_the_one_before_also_if_the_clock_was_set_back() -> None:
    before = {"token_response": {"renewed_at": 1000.0}, "refresh_token": "old"}
    rotated = tokens.with_refresh_token(before, "new", 900.0)
    renewed = tokens.with_tokens(before, {"access_token": "a", "refresh_token": "newer", "renewed_at": 900.0})
    for after in (rotated, renewed):
        assert Wallet(newest=after).latest(before) is after
    signed_in = {"token_response": {"renewed_at": 900.0}}
    wallet = Wallet(newest=rotated)
    wallet.supersede(signed_in)
    assert wallet.latest(signed_in) is signed_in


def test_what_jupyterhub_saves_after_a_check_is_the_state_with_the_newest_tokens() -> None:
    authenticator = IAMAuthenticator(openid_provider_url="https://iam.example.org")
    old, new = ({"token_response": {"renewed_at": at}} for at in (1.0, 2.0))
    authenticator._wallets.of("ada").newest = new
    saved = authenticator.reconcile_auth_state_hook(authenticator, {"name": "ada", "auth_state": old}, None)
    assert saved is new


def test_nothing_brings_back_tokens_that_were_revoked() -> None:
    old, new = ({"token_response": {"renewed_at": at}} for at in (1.0, 2.0))
    wallet = Wallet(newest=new)
    wallet.revoked(old)
    assert wallet.latest(old) is None
    assert wallet.latest(new) is None
    again = {"token_response": {"renewed_at": 1.5}}
    wallet.supersede(again)
    assert wallet.latest(again) is again


def test_each_project_with_managers_has_a_role_limited_to_its_people() -> None:
    platform = Platform.model_validate(
        {
            "images": {"i": {"title": "I", "reference": "r/i:1"}},
            "sizes": {"s": {"title": "S", "cores": 1, "memory": "1Gi"}},
            "projects": {
                "a": {"title": "A", "groups": ["x/a", "x/both"], "managers": ["x/a/managers", "x/both"]},
                "b": {"title": "B", "groups": ["y/a"]},
            },
            "admin_groups": ["x/operators"],
        }
    )
    rules = Rules.of(platform)
    assert rules.manager_roles == (
        {
            "name": "managers-of-a",
            "description": "See and stop the sessions of the project A",
            "scopes": [
                f"custom:aiinfn:project-sessions!group={group}" for group in ("x/a", "x/both", "x/a/managers")
            ],
            "groups": ["x/a/managers", "x/both"],
        },
    )
    assert rules.allowed == {"x/a", "x/both", "x/a/managers", "y/a", "x/operators"}
    assert rules.required == frozenset()
