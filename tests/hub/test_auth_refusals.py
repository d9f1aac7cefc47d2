"""Refusals of the provider: what they mean, and that a log can hold them."""

from io import BytesIO

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from aiinfn_hub.auth.refusals import ProviderRefusal


def refused(status: int, body: bytes | None, **headers: str) -> HTTPClientError:
    if body is None:
        return HTTPClientError(status)
    request = HTTPRequest("http://iam.example.org/token")
    response = HTTPResponse(request, status, headers=HTTPHeaders(headers), buffer=BytesIO(body))
    return HTTPClientError(status, response=response)


@pytest.mark.parametrize(
    ("status", "body", "grant", "client", "scope"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "Token is not active"}', True, False, False),
        (401, b'{"error": "invalid_client"}', False, True, False),
        (400, b'{"error": "unauthorized_client"}', False, True, False),
        (401, b"<html>", False, True, False),
        (401, None, False, True, False),
        (400, b'{"error": "invalid_scope"}', False, False, True),
        (400, b'{"error": "invalid_target"}', False, False, True),
        (400, b'{"error": "invalid_request"}', False, False, False),
        (400, b"[]", False, False, False),
        (400, b'{"error": 1}', False, False, False),
        (400, b"\xff", False, False, False),
    ],
)
def test_only_invalid_grant_is_about_the_person(
    status: int, body: bytes | None, grant: bool, client: bool, scope: bool
) -> None:
    refusal = ProviderRefusal.of(refused(status, body))
    assert (refusal.of_the_grant, refusal.of_the_client, refusal.of_the_scope) == (grant, client, scope)
    assert str(refusal).startswith(f"HTTP status {status}, ")


def test_the_description_is_logged_without_tokens_and_in_one_bounded_line() -> None:
    token = "eyJhbGciOiJub25lIn0.eyJqdGkiOiI1MDU2NGQzYi0z.sig"
    body = (
        f'{{"error": "invalid_grant", "error_description": "Invalid refresh token: {token}\\nADMIN \\u202e s3 '
        + "long " * 100
    )
    refusal = ProviderRefusal.of(refused(400, (body + '"}').encode()), ["s3"])
    assert refusal.description.startswith("Invalid refresh token: … ADMIN …")
    assert len(refusal.description) <= 200
    assert refusal.description.isprintable()
    # A secret that is short, or has spaces, is known by itself.
    assert "s3" not in ProviderRefusal.of(refused(400, b'{"error": "a s3 b"}'), ["s3", None]).error


def test_the_userinfo_endpoint_says_it_in_a_header() -> None:
    header = 'Bearer realm="x", error="invalid_token", error_description="Token expired"'
    refusal = ProviderRefusal.of(refused(401, b"", **{"WWW-Authenticate": header}))
    assert (refusal.error, refusal.description) == ("invalid_token", "Token expired")
