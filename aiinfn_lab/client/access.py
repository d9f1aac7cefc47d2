"""Which platform the client talks to, and as whom: from the session's environment, or from outside."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiinfn_hub.contract.problem import Reason
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.transport import TIMEOUT, Connection

from .errors import AiinfnError

SCOPE: Final = "access:services!service=vkd"
"""What a token must be allowed to use the batch service."""
_BELOW_HUB: Final = re.compile(r"/(?:hub|user|services)(?:/.*)?$")


@dataclass(frozen=True)
class PlatformAccess:
    """A platform and a token for it.

    Attributes
    ----------
    vkd
        Root of the batch service, without a slash at the end.
    hub
        Root of the platform as people open it, without a slash at the end; None in a session, which does not need it.
    token
        Sent to these two and goes nowhere else.
    """

    vkd: str
    hub: str | None
    token: str = field(repr=False)

    @property
    def in_session(self) -> bool:
        """Whether this is a session of the platform, with the person's home."""
        return self.hub is None

    def connection(self, timeout: float = TIMEOUT, *, language: str = "", zone: str = "") -> Connection:
        """Return how to connect to it. From within the platform through no proxy: the token goes nowhere else."""
        tls = not self.vkd.startswith("http://")
        return Connection(
            self.token, tls=tls, inside=self.in_session, timeout=timeout, language=language, zone=zone
        )

    @classmethod
    def outside(cls, url: str, token: str) -> PlatformAccess:
        """Make the access from outside of a session.

        Raises
        ------
        AiinfnError
            If the address or the token cannot be one.
        """
        hub = platform_url(url)
        if not token or len(token) > 1000 or not (token.isascii() and token.isprintable()) or " " in token:
            raise AiinfnError(
                Reason.UNAUTHENTICATED,
                _("This is no token of a hub."),
                _("Get one at {hub}/hub/token.").format(hub=hub),
            )
        return cls(f"{hub}/services/vkd", hub, token)


def find(
    url: str | None = None, token: str | None = None, environment: Mapping[str, str] | None = None
) -> PlatformAccess:
    """Find the platform and the token.

    What is given here comes first, then ``AIINFN_URL`` and ``AIINFN_TOKEN``, then the session, then what
    ``aiinfn login`` kept. A kept token is used for the address that it was kept for and for no other.

    Raises
    ------
    AiinfnError
        If there is none, saying how to get one.
    """
    known = os.environ if environment is None else environment
    url = url or known.get("AIINFN_URL")
    token = token or known.get("AIINFN_TOKEN")
    if url and token:
        return PlatformAccess.outside(url, token)
    vkd, own = known.get("AIINFN_VKD_URL"), known.get("JUPYTERHUB_API_TOKEN")
    if not url and not token and vkd and own:
        return PlatformAccess(vkd.rstrip("/"), None, own)
    kept = load(known)
    if kept is not None and url and platform_url(url) != kept.hub:
        kept = None
    if kept is not None and kept.hub and token:
        return PlatformAccess.outside(kept.hub, token)
    if kept is not None:
        return kept
    if url:
        raise AiinfnError(
            Reason.UNAUTHENTICATED,
            _("There is no token for {url}.").format(url=platform_url(url)),
            _("Run: aiinfn login {url} (or set AIINFN_TOKEN).").format(url=platform_url(url)),
        )
    raise AiinfnError(
        Reason.UNAUTHENTICATED,
        _("This is no session of the platform, and nobody signed in here."),
        _("Run: aiinfn login https://ADDRESS-OF-THE-PLATFORM (or set AIINFN_URL and AIINFN_TOKEN)."),
    )


def platform_url(text: str) -> str:
    """Read the address of a platform, also if it was copied from one of its pages.

    Raises
    ------
    AiinfnError
        If it is no address, or one to which a token would travel in the clear.
    """
    url = text.strip()
    if "://" not in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if not host or parts.scheme not in {"http", "https"} or parts.username or parts.password:
        raise AiinfnError(
            Reason.INVALID,
            _("The address of the platform is not usable."),
            _("Write it as in the browser, for example https://hub.example.org."),
            field="url",
        )
    if parts.scheme == "http" and not _is_here(host):
        raise AiinfnError(
            Reason.INVALID,
            _(
                "The address of the platform is not encrypted, so that others could read the token on its way."
            ),
            _("Use https://{host}.").format(host=host),
            field="url",
        )
    host = f"[{host}]" if ":" in host else host
    path = _BELOW_HUB.sub("", parts.path).rstrip("/")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"


def config_file(environment: Mapping[str, str] | None = None) -> Path:
    """Return the file in which ``aiinfn login`` keeps address and token."""
    known = os.environ if environment is None else environment
    base = known.get("XDG_CONFIG_HOME") or ""
    folder = Path(base) if base.startswith("/") else Path.home() / ".config"
    return folder / "aiinfn" / "login.json"


def load(environment: Mapping[str, str] | None = None) -> PlatformAccess | None:
    """Read what ``aiinfn login`` kept; None if nobody logged in.

    Raises
    ------
    AiinfnError
        If the file is damaged, or others may read it.
    """
    path = config_file(environment)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = json.loads(file.read(65536))
        url, token = str(content["url"]), str(content["token"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AiinfnError(
            Reason.INVALID,
            _("{path} cannot be read ({reason}).").format(path=path, reason=error.strerror),
            _("Run: aiinfn login"),
        ) from None
    except (ValueError, KeyError, TypeError):
        raise AiinfnError(
            Reason.INVALID, _("{path} is damaged.").format(path=path), _("Run: aiinfn login")
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise AiinfnError(
            Reason.FORBIDDEN,
            _("Others may read {path}, which holds your token.").format(path=path),
            _(
                "If nobody else can have seen it, run: chmod 600 {path}. Else delete the token at "
                "{url}/hub/token and run: aiinfn login"
            ).format(path=path, url=url),
        )
    return PlatformAccess.outside(url, token)


def save(access: PlatformAccess, environment: Mapping[str, str] | None = None) -> Path:
    """Keep address and token in a file that nobody else can read.

    Raises
    ------
    AiinfnError
        If it cannot be written.
    """
    path = config_file(environment)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, not a path
            json.dump({"url": access.hub, "token": access.token}, file)
            file.write("\n")
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise AiinfnError(
            Reason.UNAVAILABLE,
            _("{path} cannot be written ({reason}).").format(path=path, reason=error.strerror),
            _(
                "Make room or give yourself the right to write there; or set AIINFN_URL and AIINFN_TOKEN instead."
            ),
        ) from None
    return path


def forget(environment: Mapping[str, str] | None = None) -> bool:
    """Remove what ``aiinfn login`` kept. Gives whether there was anything."""
    path = config_file(environment)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise AiinfnError(
            Reason.FORBIDDEN,
            _("{path} cannot be removed ({reason}).").format(path=path, reason=error.strerror),
            _("Delete it yourself."),
        ) from None
    return True


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
