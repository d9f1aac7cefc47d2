"""``aiinfn-hub check --iam``: what is wrong at the provider is named before the hub opens."""

import asyncio
import base64
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiinfn_hub.auth import claims
from aiinfn_hub.auth.check import CheckVerdict, certificate
from aiinfn_hub.demo.identity_provider.keys import make_key
from tests.hub.stack import PLATFORM, Hub, Iam, browser, clean_environment
from tests.hub.test_auth_signin import eventually, signed_in

PUBLIC = "https://hub.example.org"


@pytest.fixture(scope="module")
def iam_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iam]:
    iam = Iam(tmp_path_factory.mktemp("check"), f"{PUBLIC}/hub/oauth_callback")
    try:
        iam.start()
        yield iam
    finally:
        iam.stop()


def check(
    iam: Iam, *more: str, platform: Path = PLATFORM, stdin: str = "", **changes: str
) -> tuple[int, str]:
    environment = {
        "AIINFN_IAM_ISSUER": iam.issuer,
        "AIINFN_IAM_CLIENT_SECRET": iam.client_secret,
        "AIINFN_PUBLIC_URL": PUBLIC,
    } | changes
    run = subprocess.run(
        [sys.executable, "-m", "aiinfn_hub.cli", "check", str(platform), "--iam", *more],
        env=clean_environment() | environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    out = run.stdout + run.stderr
    assert "Traceback" not in out
    assert iam.client_secret not in out
    return run.returncode, out


def test_all_that_is_right_is_said(iam_alone: Iam) -> None:
    status, out = check(iam_alone)
    assert status == 0, out
    for words in (
        f"{iam_alone.issuer} answers.",
        "IAM knows aiinfn-hub, and its secret is right.",
        "The client may renew tokens.",
        f"{PUBLIC}/hub/oauth_callback is registered.",
        "openid profile email offline_access: not refused.",
        "its certificate is valid until",
    ):
        assert words in out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"AIINFN_IAM_CLIENT_SECRET": "wrong"},
            "IAM does not accept aiinfn-hub with this secret (HTTP status 401, invalid_client",
        ),
        ({"AIINFN_IAM_CLIENT_ID": "another"}, "IAM does not accept another with this secret"),
        ({"AIINFN_PUBLIC_URL": "https://other.example.org"}, "register it at the client, exactly so"),
        ({"AIINFN_IAM_ISSUER": "http://127.0.0.1:9"}, "cannot be read"),
        (
            {"AIINFN_IAM_TOKEN_CLIENT_ID": "nobody", "AIINFN_IAM_TOKEN_CLIENT_SECRET": "x"},
            "nobody may not exchange tokens",
        ),
    ],
    ids=["secret", "client", "redirect", "issuer", "token client"],
)
def test_what_is_wrong_is_named(iam_alone: Iam, changes: dict[str, Any], words: str) -> None:
    status, out = check(iam_alone, **changes)
    assert status == 1
    assert words in out


def test_a_wrong_issuer_and_a_wrong_document_are_told_apart(iam_alone: Iam) -> None:
    status, out = check(iam_alone, AIINFN_IAM_ISSUER=f"{iam_alone.issuer}/realms/x")
    assert status == 1
    assert "is no discovery document (HTTP status 404)" in out


def test_the_scopes_that_the_client_may_not_have_are_named(iam_alone: Iam, tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(PLATFORM.read_text() + "iam: {session_token_scopes: ['storage.read:/', 'wanted.too']}\n")
    iam_alone.fault(refuses_scopes=True)
    try:
        status, out = check(iam_alone, platform=file)
    finally:
        iam_alone.fault()
    assert status == 1
    assert "The client may not have wanted.too: nobody could sign in." in out


@pytest.mark.parametrize(
    ("groups", "status", "words"),
    [
        (["ai-infn/flavour"], 0, "ada is in 1 groups: flavour."),
        (
            [{"id": "1", "name": "ai-infn/flavour"}],
            1,
            "groups is a list in which 1 of 1 are an object, not text",
        ),
        ({"ai-infn/flavour": True}, 1, "groups is an object, not a list of texts"),
        ([], 0, "This person is in no group"),
    ],
    ids=["right", "objects", "mapping", "none"],
)
def test_the_shape_of_the_groups_is_tried_with_a_persons_token(
    iam_alone: Iam, groups: Any, status: int, words: str
) -> None:

    token = asyncio.run(a_token(iam_alone))
    with iam_alone.claims("ada", groups=groups):
        answered, out = check(iam_alone, "--token-file", "-", stdin=token + "\n")
    assert (answered, words in out) == (status, True), out
    assert token not in out


async def a_token(iam: Iam) -> str:
    """Sign in as a browser does and change the code for a token."""
    import hashlib
    from urllib.parse import parse_qs, urlsplit

    import aiohttp

    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    asked = {
        "response_type": "code", "client_id": "aiinfn-hub", "redirect_uri": f"{PUBLIC}/hub/oauth_callback",
        "scope": "openid profile", "state": "s", "nonce": "n", "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    async with aiohttp.ClientSession() as http:
        async with http.post(
            f"{iam.issuer}/authorize", params=asked, data={"account": "ada"}, allow_redirects=False
        ) as answer:
            code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
        body = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": asked["redirect_uri"], "code_verifier": verifier,
        }  # fmt: skip
        pair = base64.b64encode(f"aiinfn-hub:{iam.client_secret}".encode()).decode()
        async with http.post(
            f"{iam.issuer}/token", data=body, headers={"Authorization": f"Basic {pair}"}
        ) as answer:
            return (await answer.json())["access_token"]


def test_a_certificate_must_be_of_the_key_and_valid() -> None:
    key = make_key().as_dict(private=False)
    assert certificate(key)[0] is CheckVerdict.GOOD
    later = datetime.now(UTC) + timedelta(days=350)
    assert certificate(key, later)[0] is CheckVerdict.NOTE
    assert certificate(key, later + timedelta(days=30))[0] is CheckVerdict.BAD
    other = key | {"x5c": make_key().as_dict(private=False)["x5c"]}
    assert certificate(other) == (CheckVerdict.BAD, "its x5c is the certificate of another key.")
    for broken in ([], ["x"], [7], "x", [base64.b64encode(b"no DER").decode()]):
        verdict, sentence = certificate(key | {"x5c": broken})
        assert (verdict, "no certificate" in sentence) == (CheckVerdict.BAD, True)


@pytest.mark.parametrize(
    ("found", "number"),
    [
        ({}, 0),
        ({"groups": []}, 0),
        ({"groups": "a/b", "wlcg.groups": ["/a"]}, 0),
        ({"groups": None}, 0),
        ({"groups": [{"name": "a"}], "eduperson_entitlement": 7}, 2),
        ({"groups": ["a", None]}, 1),
        ({"groups": True}, 1),
    ],
)
def test_a_claim_that_cannot_be_read_is_told_from_one_without_groups(
    found: dict[str, Any], number: int
) -> None:
    assert len(claims.unusable(found)) == number


async def test_groups_of_an_unusable_shape_are_told_to_operators_and_nobody_is_told_to_have_no_project(
    hub: Hub, iam: Iam
) -> None:
    async with browser(hub) as ada, browser(hub) as bruno:
        await ada.sign_in("ada")
        with iam.claims("ada", groups=[{"name": "ai-infn/flavour"}]), iam.claims("bruno", groups={"x": 1}):
            page = await bruno.sign_in("bruno")
            assert page.status == 502
            assert "IAM's groups of this account cannot be read." in page.text
            assert "no project" not in page.text
            words = "IAM's claims about groups cannot be read: groups is a list in which 1 of 1 are an object, not text."

            async def told() -> bool:
                # Who is in stays in, as if IAM did not answer.
                assert await signed_in(ada)
                return words in hub.log

            await eventually(told)
            assert await signed_in(ada)
        assert hub.log.count(words) == 1
        assert (await bruno.sign_in("bruno")).status == 200
