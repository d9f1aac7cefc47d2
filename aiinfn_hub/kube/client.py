"""Requests to the API server as plain JSON.

It stands on the official client's configuration and connection (`kubernetes.aio`), and leaves its models aside: turning
objects into them costs ten times as much as reading them, and was half of a hub's time where it was measured.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio.client import ApiClient

from .credentials import KubeConfigurationError, connection_changed, read_credentials

_log = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 15.0
"""How long an answer may take; a watch or a log that is followed has no limit of its own."""
ATTEMPTS: Final = 5
"""At a request that the server puts off (429), after the pauses that it asks for."""
LONGEST_PAUSE: Final = 3.0
RENEW_PAUSE: Final = 5.0
"""Seconds between two readings of credentials that are refused."""
CONNECTIONS: Final = 256
"""At once: each log that is followed holds one."""

Json = dict[str, Any]


class KubeError(Exception):
    """The API server refused a request, or did not answer.

    Attributes
    ----------
    status
        HTTP status; 0 if there was no answer.
    reason
        Kubernetes' own word for it, such as ``NotFound``, ``AlreadyExists`` or ``Expired``.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def unreachable(self) -> bool:
        """Whether trying again may help: no answer, or one of a server in trouble."""
        return self.status in {0, HTTPStatus.TOO_MANY_REQUESTS} or self.status >= 500


class KubeClient:
    """One identity at one API server. Make it with `connect`; safe to use from many tasks.

    Parameters
    ----------
    read
        Reads how to log in; called again when the API server refuses who asks (401) or its certificate is not trusted any more.

    Attributes
    ----------
    refused_since
        Since when the API server has refused the credentials, by `time.time`; None while it takes them.
    """

    def __init__(self, configuration: Any, read: Callable[[], Awaitable[Any]] | None = None) -> None:
        self._use(configuration)
        self._read = read
        self._renewal = asyncio.Lock()
        self._renewed_at = float("-inf")
        self.refused_since: float | None = None

    def _use(self, configuration: Any) -> None:
        configuration.connection_pool_maxsize = CONNECTIONS
        self._configuration = configuration
        self._api = ApiClient(configuration)

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None) -> Self:
        """Read how to log in, as `aiinfn_hub.kube.credentials.read_credentials` does; nothing is asked yet."""
        return cls(await read_credentials(kubeconfig), lambda: read_credentials(kubeconfig))

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    # Requests. Each raises `KubeError`.

    async def get(self, path: str, **query: Any) -> Any:
        """Read an object or a list."""
        return await self._json("GET", path, query=query)

    async def find(self, path: str, **query: Any) -> Any | None:
        """Read an object, or give None if it does not exist."""
        try:
            return await self.get(path, **query)
        except KubeError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def create(self, path: str, body: Json, **query: Any) -> Any:
        """Create an object in a collection."""
        return await self._json("POST", path, body, query=query)

    async def patch(self, path: str, body: Json, **query: Any) -> Any:
        """Merge into an object (RFC 7386)."""
        return await self._json("PATCH", path, body, "application/merge-patch+json", query=query)

    async def apply(
        self, path: str, body: Json, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Any:
        """Apply an object server-side under the name of a field manager."""
        query: Json = {"fieldManager": manager, "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        return await self._json("PATCH", path, body, "application/apply-patch+yaml", query=query)

    async def delete(self, path: str, *, propagation: str = "Background", **options: Any) -> None:
        """Delete an object with what depends on it; one that is gone already is fine."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation, **options}
        try:
            await self._json("DELETE", path, body)
        except KubeError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    @asynccontextmanager
    async def stream(
        self, path: str, *, idle: float | None = None, **query: Any
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Open an answer that goes on: a watch, or a log that is followed.

        Parameters
        ----------
        idle
            Seconds without a byte after which it counts as broken: `KubeError` with status 0 then.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=idle)
        response = await self._send("GET", path, None, "application/json", query, timeout)
        try:
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise _error(response.status, await response.read())
            yield response.content
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError) as error:
            raise _no_answer(error) from error
        finally:
            response.close()

    async def _json(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        content_type: str = "application/json",
        *,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        for attempt in range(1, ATTEMPTS + 1):
            response = await self._send(method, path, body, content_type, query or {}, timeout)
            try:
                data = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise _no_answer(error) from error
            finally:
                response.release()
            if response.status != HTTPStatus.TOO_MANY_REQUESTS or attempt == ATTEMPTS:
                break
            # The request was not looked at: the server is busy, or has just learnt of this kind of object.
            await asyncio.sleep(_pause(response.headers.get("Retry-After")))
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _error(response.status, data)
        if "json" not in response.headers.get("Content-Type", ""):
            return data.decode(errors="replace")
        # A large list would hold up everything else on the loop.
        return json.loads(data) if len(data) < 1_000_000 else await asyncio.to_thread(json.loads, data)

    async def _send(
        self,
        method: str,
        path: str,
        body: Json | None,
        content_type: str,
        query: Mapping[str, Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> aiohttp.ClientResponse:
        """Send a request; if it is refused for who asks, read the credentials again and send it once more."""
        used = self._configuration, dict(self._configuration.api_key)
        ask = partial(self._ask, method, path, body, content_type, query, timeout)
        try:
            response = await ask()
        except KubeError as error:
            # The cluster's certificates were renewed, too: who trusts only the old ones is told nothing.
            if not isinstance(
                error.__cause__, aiohttp.ClientConnectorCertificateError
            ) or not await self._renew(*used):
                raise
            response = await ask()
        if response.status == HTTPStatus.UNAUTHORIZED and await self._renew(*used):
            response.close()
            response = await ask()
        self._note(response.status)
        return response

    async def _ask(
        self,
        method: str,
        path: str,
        body: Json | None,
        content_type: str,
        query: Mapping[str, Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own
    ) -> aiohttp.ClientResponse:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        # Asked each time: the token of a pod is renewed every hour.
        token = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            headers["Authorization"] = token
        words = urlencode({key: value for key, value in query.items() if value is not None})
        url = f"{self._configuration.host}{path}" + (f"?{words}" if words else "")
        try:
            answer = await self._api.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout
            )
        except (aiohttp.ClientError, TimeoutError, ssl.SSLError, OSError) as error:
            raise _no_answer(error) from error
        response: aiohttp.ClientResponse = answer.response
        return response

    def _note(self, status: int) -> None:
        if status != HTTPStatus.UNAUTHORIZED:
            if self.refused_since is not None:
                _log.warning("the API server takes the credentials again")
            self.refused_since = None
        elif self.refused_since is None:
            self.refused_since = time.time()
            _log.error(
                "the API server refuses the credentials (401 Unauthorized): renew the token or the kubeconfig; its file is "
                "read again by itself"
            )

    async def _renew(self, used: Any, keys: Mapping[str, Any]) -> bool:
        """Read the credentials again that a request was refused with, and return whether there are others now."""
        if self._read is None:
            return False
        async with self._renewal:
            if self._configuration is not used or self._configuration.api_key != keys:
                return True  # another request did it meanwhile
            if time.monotonic() - self._renewed_at < RENEW_PAUSE:
                return False
            self._renewed_at = time.monotonic()
            try:
                found = await self._read()
            except KubeConfigurationError as error:
                _log.warning("the credentials cannot be read again: %s", error)
                return False
            if connection_changed(used, found):
                # Watches and logs that are followed on the old connections begin again by themselves.
                old = self._api
                self._use(found)
                await old.close()
                return True
            if found.api_key == keys:
                return False
            used.api_key, used.refresh_api_key_hook = found.api_key, found.refresh_api_key_hook
            return True


def path_of(
    group_version: str, plural: str, *, namespace: str | None = None, name: str | None = None, part: str = ""
) -> str:
    """Return the path of an object or a collection.

    Parameters
    ----------
    group_version
        As in ``apiVersion``: ``v1``, ``batch/v1``, ``kueue.x-k8s.io/v1beta2``.
    part
        A subresource such as ``status`` or ``log``.
    """
    words = ["api" if "/" not in group_version else "apis", group_version]
    if namespace is not None:
        words += ["namespaces", quote(namespace, safe="")]
    words.append(plural)
    if name is not None:
        words.append(quote(name, safe=""))
    if part:
        words.append(part)
    return "/" + "/".join(words)


def _pause(said: str | None) -> float:
    """Read ``Retry-After``; what is no number of seconds is one."""
    return min(float(said), LONGEST_PAUSE) if said and said.isdigit() else 1.0


def _error(status: int, data: bytes) -> KubeError:
    try:
        body = json.loads(data)
        return KubeError(status, str(body.get("reason", "")), str(body.get("message", "")))
    except (ValueError, AttributeError):
        return KubeError(status, "", data.decode(errors="replace")[:500])


def _no_answer(error: Exception) -> KubeError:
    return KubeError(0, "NoAnswer", f"The API server does not answer ({type(error).__name__}).")
