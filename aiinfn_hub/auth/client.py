"""Requests of the hub to IAM: discovery instead of configured endpoints, and an outage told from a refusal."""

from __future__ import annotations

import json
import ssl
from typing import Any, Final
from urllib.parse import urlsplit

from oauthenticator.generic import GenericOAuthenticator
from tornado.httpclient import HTTPClientError, HTTPRequest
from traitlets import Integer, Unicode, default

from aiinfn_hub.i18n.language import gettext as _

from .discovery import Endpoints, Provider
from .problems import ProviderBrokenError, ProviderUnreachableError

_BUSY: Final = frozenset({408, 425, 429})
"""Client errors that say nothing about the token: the provider wants to be asked later."""


class DiscoveringAuthenticator(GenericOAuthenticator):
    """The generic authenticator, which learns the provider's endpoints from its issuer."""

    openid_provider_url = Unicode(
        config=True,
        help="""The issuer, for example https://iam.example.org/. Its endpoints are discovered at the first sign-in.

        Named as in oauthenticator's pull request 822, so that it can replace this.""",
    )
    discovery_age = Integer(
        3600, min=1, config=True, help="Seconds after which the provider's endpoints are asked for again."
    )

    @default("http_request_kwargs")
    def _default_http_request_kwargs(self) -> dict[str, Any]:
        return {"connect_timeout": 5.0, "request_timeout": 10.0}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.provider = Provider(self.openid_provider_url, self._json, self.log, max_age=self.discovery_age)

    async def discover(self, *, answered_within: float | None = None) -> Endpoints:
        """Find the provider's endpoints, mostly in the cache, and give them to the base class.

        Parameters
        ----------
        answered_within
            Seconds within which IAM must have answered, to be sure that it is alive.

        Raises
        ------
        ProviderUnreachableError, ProviderBrokenError
            With the page for the person who waits.
        """
        try:
            endpoints = await self.provider.endpoints(answered_within=answered_within)
        except (ProviderUnreachableError, ProviderBrokenError) as problem:
            self.log.warning("IAM cannot be used: %s", problem.what)
            raise
        self.authorize_url, self.token_url = endpoints.authorize, endpoints.token
        self.userdata_url = endpoints.userinfo
        return endpoints

    async def httpfetch(
        self,
        url: str,
        label: str = "fetching",
        parse_json: bool = True,
        raise_error: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Ask IAM and tell an outage from a refusal; replies are not logged, since they may hold tokens.

        Raises
        ------
        ProviderUnreachableError
            No connection, no answer in time, or an answer that says "later".
        tornado.httpclient.HTTPClientError
            A 4xx: the request is refused.
        ProviderBrokenError
            An answer that is not JSON.
        """
        what = f"{label.removesuffix('...')} at {_place(url)}"
        request = HTTPRequest(url, **(self.http_request_kwargs | kwargs))
        try:
            response = await self.http_client.fetch(request, raise_error=raise_error)
        except HTTPClientError as error:
            if error.code >= 500 or error.code in _BUSY:
                raise ProviderUnreachableError(f"{what}: HTTP status {error.code}") from None
            raise
        except ssl.SSLError as error:
            raise ProviderUnreachableError(
                f"{what}: the TLS connection failed ({error.reason or 'no reason'})"
            ) from None
        except OSError as error:
            raise ProviderUnreachableError(f"{what}: {error.strerror or type(error).__name__}") from None
        if not parse_json:
            return response
        try:
            return json.loads(response.body)
        except ValueError:
            raise ProviderBrokenError(_("IAM's answer is not JSON.")) from None

    async def _json(self, url: str, what: str) -> Any:
        """Get a public document."""
        try:
            return await self.httpfetch(
                url, what, headers={"Accept": "application/json"}, validate_cert=self.validate_server_cert
            )
        except HTTPClientError as error:
            raise ProviderBrokenError(
                _("IAM has no {document} at {address} (HTTP status {status}).").format(
                    document=what, address=_place(url), status=error.code
                )
            ) from None


def _place(url: str) -> str:
    """Return a URL without its query, for a log line."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
