"""A very small Kubernetes API client on the standard library: JSON in, JSON out, and precise waiting."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


class ApiError(Exception):
    """The API server refused a request.

    Attributes
    ----------
    status
        HTTP status.
    """

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status


class Deadline(Exception):  # noqa: N818 - it is named for what was missed
    """Something did not become true in time.

    Not a `TimeoutError`: those are OSErrors, which `wait_for` takes for a server that is not up yet.
    """


class Api:
    """Requests to one API server as one identity; every request has its own connection, so threads may share it.

    Parameters
    ----------
    server
        ``https://host:port``.
    ca
        Certificate of the authority that signed the server's certificate.
    certificate, key
        A client certificate to log in with.
    token
        A bearer token to log in with instead.
    """

    def __init__(
        self,
        server: str,
        ca: Path,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        token: str | None = None,
    ) -> None:
        address = urlsplit(server)
        self.server, self.ca = server, ca
        self._host, self._port = address.hostname or "", address.port
        self._context = ssl.create_default_context(cafile=str(ca))
        if certificate:
            self._context.load_cert_chain(str(certificate), None if key is None else str(key))
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def with_token(self, token: str) -> Self:
        """Return a client of the same server that logs in with a token."""
        return type(self)(self.server, self.ca, token=token)

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """Answer as decoded JSON, or as text where it is not JSON.

        Raises
        ------
        ApiError
            The status is 300 or more.
        """
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._context, timeout=60)
        headers = {"Content-Type": content_type, **self._headers}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            data = response.read().decode(errors="replace")
        finally:
            connection.close()
        if response.status >= 300:
            raise ApiError(response.status, data)
        # A pod's log may well be JSON too; only the server's own answers are decoded.
        return json.loads(data) if "json" in response.headers.get("Content-Type", "") else data

    def get(self, path: str) -> Any:
        """GET."""
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> Any:
        """POST."""
        return self.request("POST", path, body)

    def patch(self, path: str, body: Any) -> Any:
        """PATCH with a JSON merge patch."""
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def apply(self, document: dict[str, Any]) -> Any:
        """Create or change an object, server-side; a key that its kind does not have is refused."""
        path = self._path_of(document)
        query = "fieldManager=tests&force=true&fieldValidation=Strict"
        return self.request("PATCH", f"{path}?{query}", document, "application/apply-patch+yaml")

    def delete(self, path: str, body: Any = None) -> None:
        """DELETE; what is not there is fine."""
        try:
            self.request("DELETE", path, body)
        except ApiError as error:
            if error.status != 404:
                raise

    def _path_of(self, document: dict[str, Any]) -> str:
        """Where an object lies; its namespace must be named."""
        version, kind, meta = document["apiVersion"], document["kind"], document["metadata"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, kind) not in self._kinds:
            for resource in self.get(base)["resources"]:
                if "/" not in resource["name"]:  # else it is a part of an object, such as pods/log
                    place = resource["name"], resource["namespaced"]
                    self._kinds[version, resource["kind"]] = place
        if (version, kind) not in self._kinds:
            raise ApiError(404, f"{version} has no kind {kind}")
        plural, namespaced = self._kinds[version, kind]
        folder = f"namespaces/{meta['namespace']}/{plural}" if namespaced else plural
        return f"{base}/{folder}/{meta['name']}"


def wait_for(what: str, condition: Callable[[], T], timeout: float = 60, interval: float = 0.1) -> T:
    """Poll ``condition`` until it returns something true, and return that.

    Errors of a server that is not up yet, or of an object that is not there yet, count as false.

    Raises
    ------
    Deadline
        It did not within ``timeout`` seconds; the message ends with the last error.
    """
    deadline = time.monotonic() + timeout
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if result := condition():
                return result
            last = None
        except (OSError, http.client.HTTPException, ApiError) as error:
            last = error
        time.sleep(interval)
    raise Deadline(f"{what}: not within {timeout:.0f} s" + (f" ({last})" if last else ""))


def has_condition(item: dict[str, Any], kind: str) -> bool:
    """Whether a condition of an object is True now; one that was true before may stay in the list as False."""
    conditions = item.get("status", {}).get("conditions", [])
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


def is_ready(item: dict[str, Any]) -> bool:
    """Whether a node, or a pod, is ready."""
    return has_condition(item, "Ready")
