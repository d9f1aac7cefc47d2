"""Discovery and id tokens, against documents as providers serve them."""

import asyncio
import logging
import time
from types import SimpleNamespace
from typing import Any

import jwt
import pytest

from aiinfn_hub.auth import discovery
from aiinfn_hub.auth.discovery import LogoutTokenError, Provider
from aiinfn_hub.auth.problems import ProviderBrokenError, ProviderUnreachableError
from aiinfn_hub.demo.identity_provider.keys import make_key

ISSUER = "https://iam.example.org/"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}authorize",
    "token_endpoint": f"{ISSUER}token",
    "userinfo_endpoint": f"{ISSUER}userinfo",
    "jwks_uri": f"{ISSUER}jwk",
    "code_challenge_methods_supported": ["plain", "S256"],
}


class Documents:
    """Stands where the network is."""

    def __init__(self) -> None:
        self.document = dict(DOCUMENT)
        self.keys = [make_key()]
        self.asked: list[str] = []
        self.down = False

    async def fetch(self, url: str, what: Any) -> Any:
        self.asked.append(what)
        await asyncio.sleep(0)
        if self.down:
            raise ProviderUnreachableError(what)
        if url == f"{ISSUER}.well-known/openid-configuration":
            return self.document
        assert url == DOCUMENT["jwks_uri"]
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def provider(self, issuer: str = ISSUER, max_age: float = 3600.0) -> Provider:
        return Provider(issuer, self.fetch, logging.getLogger("test"), max_age=max_age)

    def token(self, *, key: Any = None, alg: str = "RS256", kid: Any = None, **claims: Any) -> str:
        key = key or self.keys[-1]
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": "hub", "sub": "42", "iat": now, "exp": now + 60, "nonce": "n"}
        payload = {k: v for k, v in (usual | claims).items() if v is not None}
        secret = key.as_pem(private=True) if alg.startswith("RS") else "s" * 32
        return jwt.encode(payload, secret, algorithm=alg, headers={"kid": kid or key.kid})


async def test_endpoints_are_asked_for_once_by_many_at_the_same_time() -> None:
    documents = Documents()
    provider = documents.provider()
    found = await asyncio.gather(*(provider.endpoints() for _ in range(20)))
    assert {one.token for one in found} == {f"{ISSUER}token"}
    assert documents.asked == ["discovery document"]


async def test_a_slash_at_the_end_of_the_issuer_may_be_left_out() -> None:
    assert (await Documents().provider("https://iam.example.org").endpoints()).issuer == ISSUER


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"issuer": "https://evil.example.org/"}, "calls itself https://evil.example.org/"),
        ({"issuer": None}, "calls itself None"),
        ({"token_endpoint": "http://iam.example.org/token"}, "no usable token_endpoint"),
        ({"jwks_uri": "/jwk"}, "no usable jwks_uri"),
        ({"userinfo_endpoint": ["x"]}, "no usable userinfo_endpoint"),
    ],
)
async def test_a_document_that_cannot_be_trusted_is_refused(change: dict[str, Any], words: str) -> None:
    documents = Documents()
    documents.document |= change
    with pytest.raises(ProviderBrokenError, match=words):
        await documents.provider().endpoints()


async def test_known_endpoints_stay_while_the_provider_is_down_but_not_for_a_sign_in() -> None:
    documents = Documents()
    provider = documents.provider(max_age=0.0)
    await provider.endpoints()
    documents.down = True
    assert (await provider.endpoints()).issuer == ISSUER
    with pytest.raises(ProviderUnreachableError):
        await provider.endpoints(answered_within=0.0)


async def test_nothing_is_known_of_a_provider_that_was_never_there_until_it_comes() -> None:
    documents = Documents()
    documents.down = True
    provider = documents.provider()
    with pytest.raises(ProviderUnreachableError):
        await provider.endpoints()
    documents.down = False
    assert (await provider.endpoints()).issuer == ISSUER


async def test_a_good_id_token_gives_its_subject() -> None:
    documents = Documents()
    assert await documents.provider().verify(documents.token(), client_id="hub", nonce="n") == "42"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example.org/"},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"exp": 1},
        {"nonce": "other"},
        {"nonce": None},
        {"azp": "other"},
        {"kid": "unknown"},
        {"alg": "HS256"},
        {"key": make_key(), "kid": "forged"},
    ],
    ids=lambda change: "forged" if "key" in change else str(change),
)
async def test_a_wrong_id_token_is_refused_and_never_shown(change: dict[str, Any]) -> None:
    documents = Documents()
    token = documents.token(**change)
    with pytest.raises(ProviderBrokenError) as refused:
        await documents.provider().verify(token, client_id="hub", nonce="n")
    assert token not in str(refused.value)


async def test_an_id_token_signed_by_somebody_else_under_a_known_key_id_is_refused() -> None:
    documents = Documents()
    forged = documents.token(key=make_key(), kid=documents.keys[-1].kid)
    with pytest.raises(ProviderBrokenError):
        await documents.provider().verify(forged, client_id="hub", nonce="n")


@pytest.mark.parametrize("token", [None, "", "a.b", "....", 7])
async def test_what_is_no_id_token_is_refused(token: int | str | None) -> None:
    with pytest.raises(ProviderBrokenError):
        await Documents().provider().verify(token, client_id="hub", nonce="n")


async def test_an_unsigned_id_token_is_refused() -> None:
    documents = Documents()
    unsigned = jwt.encode(
        {"iss": ISSUER, "aud": "hub", "sub": "42", "iat": 1, "exp": time.time() + 60, "nonce": "n"},
        None,  # type: ignore[arg-type]
        algorithm="none",
        headers={"kid": documents.keys[-1].kid},
    )
    with pytest.raises(ProviderBrokenError):
        await documents.provider().verify(unsigned, client_id="hub", nonce="n")


async def test_unknown_key_ids_do_not_make_the_hub_hammer_the_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A busy machine may need more than the usual second for five tokens.
    monkeypatch.setattr(discovery, "_KEYS_AGE", 600.0)
    documents = Documents()
    provider = documents.provider()
    for _ in range(5):
        with pytest.raises(ProviderBrokenError):
            await provider.verify(documents.token(kid="unknown"), client_id="hub", nonce="n")
    assert documents.asked.count("signing keys") == 1


LOGOUT: dict[str, Any] = {
    "nonce": None,
    "jti": "1",
    "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
}


async def test_logout_tokens_of_strangers_do_not_make_the_hub_hammer_the_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anybody can send one. After the pause a key that the provider has changed to is found, however many were sent."""
    monkeypatch.setattr(discovery, "_KEYS_AGE", 0.0)
    now = time.monotonic()
    monkeypatch.setattr(discovery, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))
    documents = Documents()
    provider = documents.provider()
    assert (await provider.verify_logout(documents.token(**LOGOUT), client_id="hub"))["sub"] == "42"
    documents.asked.clear()

    async def flood() -> Any:
        sent = (documents.token(kid=f"unknown-{number}", **LOGOUT) for number in range(20))
        tried = (provider.verify_logout(token, client_id="hub") for token in sent)
        return await asyncio.gather(*tried, return_exceptions=True)

    for _ in range(3):
        now += discovery._STRANGERS_PAUSE
        assert {type(refused) for refused in await flood()} == {LogoutTokenError}
    assert documents.asked == ["signing keys"] * 3
    # A known key needs no question, and whoever signs in, with a token from the provider itself, need not wait.
    assert await provider.verify_logout(documents.token(**LOGOUT | {"jti": "2"}), client_id="hub")
    documents.keys.append(make_key())
    assert await provider.verify(documents.token(), client_id="hub", nonce="n") == "42"
    documents.keys.append(make_key())
    now += discovery._STRANGERS_PAUSE
    assert await provider.verify_logout(documents.token(**LOGOUT | {"jti": "3"}), client_id="hub")


async def test_logout_tokens_do_not_hammer_a_provider_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(discovery, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))
    documents = Documents()
    documents.down = True
    provider = documents.provider()
    for _ in range(20):
        with pytest.raises(ProviderUnreachableError):
            await provider.verify_logout(documents.token(**LOGOUT), client_id="hub")
    assert documents.asked == ["discovery document"]
    documents.down = False
    now += discovery._STRANGERS_PAUSE
    assert await provider.verify_logout(documents.token(**LOGOUT), client_id="hub")


async def test_a_logout_token_that_never_ends_is_refused() -> None:
    documents = Documents()
    event: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    token = documents.token(nonce=None, jti="1", events=event, exp=10**400)
    with pytest.raises(LogoutTokenError):
        await documents.provider().verify_logout(token, client_id="hub")


async def test_a_logout_token_whose_times_are_texts_is_read_as_the_library_does() -> None:
    documents = Documents()
    event: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    token = documents.token(nonce=None, jti="1", events=event, iat=str(int(time.time())))
    assert (await documents.provider().verify_logout(token, client_id="hub"))["sub"] == "42"
