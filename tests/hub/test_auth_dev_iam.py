"""The demonstration's provider keeps the rules of the protocol, so that a sign-in against it proves something."""

import base64
import hashlib
import json
import os
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography import x509
from flask import Flask
from flask.testing import FlaskClient

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from aiinfn_hub.demo.identity_provider.app import ProviderSettings, create_app, make_client

ISSUER = "http://127.0.0.1:9"
BACK = "http://127.0.0.1:8/hub/oauth_callback"
VERIFIER = secrets.token_urlsafe(32)
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
ADMIN = {"Authorization": "Bearer admin"}


class AtIssuer(FlaskClient):
    """Asks under the provider's own name."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("base_url", ISSUER)
        return super().open(*args, **kwargs)


@pytest.fixture
def app() -> Flask:
    return create_app(
        ProviderSettings(ISSUER, make_client("hub", "secret", [BACK], "Test"), admin_token="admin")
    )


@pytest.fixture
def http(app: Flask) -> Any:
    app.test_client_class = AtIssuer
    return app.test_client()


def question(**change: Any) -> Any:
    usual = {
        "response_type": "code",
        "client_id": "hub",
        "redirect_uri": BACK,
        "scope": "openid profile email offline_access",
        "state": "st",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return "/authorize?" + urlencode({k: v for k, v in (usual | change).items() if v is not None})


def code_for(http: Any, who: str = "ada", **change: Any) -> Any:
    answer = http.post(question(**change), data={"account": who})
    assert answer.status_code == 302
    return parse_qs(urlsplit(answer.location).query)["code"][0]


def exchange(http: Any, given: dict[str, Any], **change: Any) -> Any:
    usual = {
        "grant_type": "authorization_code",
        "code": given,
        "redirect_uri": BACK,
        "client_id": "hub",
        "client_secret": "secret",
        "code_verifier": VERIFIER,
    }
    return http.post("/token", data={k: v for k, v in (usual | change).items() if v is not None})


def test_the_discovery_document_names_what_is_there(http: Any) -> None:
    document = http.get("/.well-known/openid-configuration").json
    assert document["issuer"] == ISSUER
    assert document["code_challenge_methods_supported"] == ["S256"]
    for key in ("jwks_uri", "end_session_endpoint"):
        assert http.get(document[key].removeprefix(ISSUER)).status_code == 200


def test_the_page_offers_every_account_and_says_that_it_is_a_demonstration(http: Any) -> None:
    page = http.get(question()).text
    for name in ("ada", "bruno", "carla", "dora", "nemo"):
        assert f'value="{name}"' in page
    assert "demonstration provider" in page
    assert "no passwords" in page


def test_the_whole_flow_gives_claims_shaped_as_indigo_iams(http: Any) -> None:
    tokens = exchange(http, code_for(http, "carla")).json
    claims = http.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json
    assert claims["preferred_username"] == "carla"
    assert claims["groups"] == ["ai-infn/flavour", "ai-infn/flavour/managers"]
    assert claims["organisation_name"] == "ai-infn-demo"
    assert {"sub", "name", "given_name", "family_name", "email"} <= claims.keys()


@pytest.mark.parametrize(
    "change",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
    ],
    ids=str,
)
def test_a_request_without_s256_challenge_is_sent_back_with_an_error(
    http: Any, change: dict[str, Any]
) -> None:
    answer = http.get(question(**change))
    assert answer.status_code == 302
    assert answer.location.startswith(BACK)
    assert "error=invalid_request" in answer.location
    assert "state=st" in answer.location


@pytest.mark.parametrize(
    "verifier", [None, secrets.token_urlsafe(32), CHALLENGE], ids=["none", "other", "challenge"]
)
def test_a_code_is_worth_nothing_without_its_verifier(http: Any, verifier: str | None) -> None:
    answer = exchange(http, code_for(http), code_verifier=verifier)
    assert answer.status_code == 400
    assert "access_token" not in answer.text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client_secret": "wrong"}, 401),
        ({"client_secret": None}, 401),
        ({"redirect_uri": BACK + "/x"}, 400),
        ({"code": "guessed"}, 400),
    ],
    ids=str,
)
def test_a_token_request_must_be_right_in_every_part(http: Any, change: dict[str, Any], status: int) -> None:
    answer = exchange(http, code_for(http), **change)
    assert answer.status_code == status
    assert "access_token" not in answer.text


def test_a_code_can_be_used_once(http: Any) -> None:
    code = code_for(http)
    assert exchange(http, code).status_code == 200
    assert exchange(http, code).status_code == 400


@pytest.mark.parametrize(
    "change", [{"redirect_uri": "http://evil.example.org/"}, {"client_id": "other"}], ids=str
)
def test_a_request_of_somebody_unknown_is_answered_here_and_not_sent_on(
    http: Any, change: dict[str, Any]
) -> None:
    answer = http.get(question(**change))
    assert answer.status_code == 400
    assert "evil" not in answer.headers.get("Location", "")
    assert "This sign-in cannot go on" in answer.text


def test_cancelling_sends_people_back_with_access_denied(http: Any) -> None:
    answer = http.post(question(), data={"account": ""})
    assert "error=access_denied" in answer.location


def test_a_refresh_token_comes_with_offline_access_only_and_sees_new_groups(http: Any) -> None:
    assert "refresh_token" not in exchange(http, code_for(http, scope="openid profile")).json
    tokens = exchange(http, code_for(http)).json
    http.patch("/admin/accounts/ada", json={"groups": []}, headers=ADMIN)
    answer = http.post(
        "/token",
        data={
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": "hub",
            "client_secret": "secret",
        },
    )
    claims = http.get("/userinfo", headers={"Authorization": f"Bearer {answer.json['access_token']}"}).json
    assert claims["groups"] == []


def test_userinfo_needs_a_token(http: Any) -> None:
    assert http.get("/userinfo").status_code == 401
    assert http.get("/userinfo", headers={"Authorization": "Bearer guessed"}).status_code == 401


def test_keys_carry_a_certificate_of_the_same_key(http: Any) -> None:
    (key,) = http.get("/jwk").json["keys"]
    assert "d" not in key
    certificate = x509.load_der_x509_certificate(base64.b64decode(key["x5c"][0]))
    modulus = int.from_bytes(base64.urlsafe_b64decode(key["n"] + "=="))
    assert certificate.public_key().public_numbers().n == modulus


def test_rotated_keys_sign_at_once_and_the_old_one_stays_known(http: Any) -> None:
    http.post("/admin/keys", headers=ADMIN)
    kids = [key["kid"] for key in http.get("/jwk").json["keys"]]
    token = exchange(http, code_for(http)).json["id_token"]
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert len(kids) == 2
    assert header["kid"] == kids[1]


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}], ids=["none", "wrong"])
def test_claims_cannot_be_changed_without_the_admin_token(http: Any, given: dict[str, Any]) -> None:
    assert http.patch("/admin/accounts/ada", json={"groups": ["x"]}, headers=given).status_code == 403


def test_without_an_admin_token_nobody_is_admin() -> None:
    app = create_app(ProviderSettings(ISSUER, make_client("hub", "secret", [BACK], "Test")))
    app.test_client_class = AtIssuer
    answer = app.test_client().post("/admin/keys", headers={"Authorization": "Bearer "})
    assert answer.status_code == 403


def test_another_host_name_is_turned_away(app: Flask) -> None:
    assert app.test_client().get("/", headers={"Host": "rebound.example.org"}).status_code == 421
