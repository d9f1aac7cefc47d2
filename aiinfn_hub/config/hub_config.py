"""The whole hub configuration, out of one platform file and the ``AIINFN_*`` environment variables.

A hub that cannot be configured completely does not start: it says in one sentence what is missing. Everything
listens on loopback unless it is told otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiinfn_hub.auth import identity
from aiinfn_hub.auth.accounts import release
from aiinfn_hub.auth.accounts.authenticator import AccountAuthenticator
from aiinfn_hub.auth.database.accounts import AccountStore, StoreError
from aiinfn_hub.auth.database.migrations import SchemaError
from aiinfn_hub.auth.routes import CUSTOM_SCOPES, USER_SCOPES, routes, server_scopes
from aiinfn_hub.auth.rules import Rules, manager_roles
from aiinfn_hub.host.accounts import AccountError, Accounts, default_data
from aiinfn_hub.host.private_files import keep_private, private_draft, write_secrets
from aiinfn_hub.platform.loading import loader
from aiinfn_hub.platform.loading.reload import PlatformFile
from aiinfn_hub.platform.model.settings import BackendKind
from aiinfn_hub.spawner import session_time
from aiinfn_hub.spawner.context import TEMPLATES, SpawnContext
from aiinfn_hub.spawner.local import ENV_KEEP, LocalSpawner
from aiinfn_hub.spawner.operator_notices import node_notices
from aiinfn_hub.spawner.session import ending_of
from aiinfn_hub.vkd.client import VkdClient
from aiinfn_hub.web import full_disk, page_language

from .environment import (
    ConfigurationError,
    accounts_url,
    in_url,
    port,
    required,
    url,
)
from .kubernetes import (
    EVERYWHERE,
    HTTP_TIMEOUT,
    SESSION_POLL,
    ClusterSettings,
    configure_sessions,
)
from .proxy import SessionProxy, guarded
from .service_start import keep_starting
from .stale_process import end_orphaned_vkd

CONFIG_FILE: Final = Path(__file__).with_name("jupyterhub_config.py")
"""For ``jupyterhub -f``, also where there is no checkout."""

HUB_SERVICE: Final = "aiinfn-hub"
"""The service as which the hub's own code calls vkd."""
VKD_SERVICE: Final = "vkd"
METRICS_SERVICE: Final = "metrics"
"""The service as which Prometheus reads the figures of hub and vkd."""

USE_VKD: Final = f"access:services!service={VKD_SERVICE}"
SERVER_SCOPES: Final = ("users:activity!user", "access:servers!server", USE_VKD)
"""All that the token of a session may do. Who owns it, with groups, every token may ask without a scope."""

VKD_PREFIX: Final = f"/services/{VKD_SERVICE}"
LOOPBACK: Final = "127.0.0.1"
NAMED_SERVERS: Final = 4
"""Sessions a person may have beside the first."""
CONCURRENT_SPAWNS: Final = 50
"""Starts in progress at once: beyond it people are asked to wait a moment. A course of 30 passes in one go."""


@dataclass(frozen=True, slots=True)
class HubSettings:
    """What the environment says.

    Attributes
    ----------
    issuer
        IAM's issuer URL.
    public_url
        Where people reach the hub, if it is behind something that terminates TLS; None takes the address they used.
    keep_servers
        Whether sessions outlive a stop of the hub, so that it can be restarted under them.
    demo_id
        Marks the processes of one demonstration; empty otherwise.
    demo_people
        Who can be chosen on the sign-in page of a demonstration: ``username`` and ``who``, their part on the platform.
    skeleton
        Folder with examples for new homes.
    token_client_id, token_client_secret
        Another client at IAM, with which tokens for sessions are made; empty: the hub's own.
    """

    platform: Path
    data: Path
    host: str
    port: int
    hub_port: int
    proxy_api_port: int
    vkd_port: int
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    public_url: str | None = None
    keep_servers: bool = False
    demo_id: str = ""
    demo_people: tuple[Mapping[str, str], ...] = ()
    skeleton: Path | None = None
    token_client_id: str = ""
    token_client_secret: str = field(default="", repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> HubSettings:
        """Read the settings.

        Raises
        ------
        ConfigurationError
            Naming the variable.
        """
        issuer = required(environment, "AIINFN_IAM_ISSUER", "the issuer URL of IAM")
        skeleton = environment.get("AIINFN_SKELETON")
        token_client_id = environment.get("AIINFN_IAM_TOKEN_CLIENT_ID", "")
        return cls(
            platform=loader.default_path(),
            data=default_data(),
            host=environment.get("AIINFN_HOST") or LOOPBACK,
            port=port(environment, "AIINFN_PORT", 8000),
            hub_port=port(environment, "AIINFN_HUB_PORT", 8081),
            proxy_api_port=port(environment, "AIINFN_PROXY_API_PORT", 8001),
            vkd_port=port(environment, "AIINFN_VKD_PORT", 8082),
            issuer=url(environment, "AIINFN_IAM_ISSUER") or issuer,
            client_id=environment.get("AIINFN_IAM_CLIENT_ID") or "aiinfn-hub",
            client_secret=required(
                environment, "AIINFN_IAM_CLIENT_SECRET", "the secret of this hub as a client of IAM"
            ),
            public_url=url(environment, "AIINFN_PUBLIC_URL"),
            keep_servers=environment.get("AIINFN_KEEP_SERVERS") == "1",
            demo_id=environment.get("AIINFN_DEMO_ID", ""),
            demo_people=tuple(json.loads(environment.get("AIINFN_DEMO_PEOPLE", "[]"))),
            skeleton=Path(skeleton) if skeleton else None,
            token_client_id=token_client_id,
            token_client_secret=required(
                environment, "AIINFN_IAM_TOKEN_CLIENT_SECRET", "the secret of AIINFN_IAM_TOKEN_CLIENT_ID"
            )
            if token_client_id
            else "",
        )


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the hub and vkd listen, and where they are reached; URLs are without vkd's prefix.

    Attributes
    ----------
    bind
        Address on which the hub listens.
    vkd
        Where the hub reaches vkd.
    vkd_listens
        Where vkd listens if the hub starts it, and where the proxy forwards to.
    vkd_of_sessions
        Where sessions reach vkd.
    starts_vkd
        Whether the hub starts vkd.
    """

    bind: str
    vkd: str
    vkd_listens: str
    vkd_of_sessions: str
    starts_vkd: bool = True

    @classmethod
    def of(cls, settings: HubSettings, cluster: ClusterSettings | None) -> Reach:
        """Work it out."""
        here = f"http://{LOOPBACK}:{settings.vkd_port}"
        if cluster is None:
            return cls(LOOPBACK, here, here, here)
        if cluster.vkd_url:
            return cls(cluster.bind, cluster.vkd_url, cluster.vkd_url, cluster.vkd_url, starts_vkd=False)
        listens = f"http://{in_url(cluster.bind)}:{settings.vkd_port}"
        near = here if cluster.bind == EVERYWHERE else listens
        far = f"http://{in_url(cluster.connect)}:{settings.vkd_port}"
        return cls(cluster.bind, near, listens, far)


def configure(c: Any) -> None:
    """Fill JupyterHub's configuration, or end the process with one sentence on stderr.

    Parameters
    ----------
    c
        What ``get_config()`` gives in ``jupyterhub_config.py``.
    """
    try:
        settings = HubSettings.of(os.environ)
        keep_private(settings.data)
        _configure(c, settings)
    except (ConfigurationError, loader.PlatformError, AccountError, StoreError, SchemaError) as error:
        sys.exit(f"The hub does not start. {error}")
    except OSError as error:
        # A write that failed because the disk is full names no file.
        place = error.filename or settings.data
        sys.exit(f"The hub does not start. {place} cannot be used ({error.strerror}).")


def _configure(c: Any, settings: HubSettings) -> None:
    file = PlatformFile.open(settings.platform)
    platform = file.current
    cluster = (
        ClusterSettings.of(os.environ, platform)
        if platform.sessions.backend is BackendKind.KUBERNETES
        else None
    )
    reach = Reach.of(settings, cluster)
    proxy = proxy_command(os.environ)
    accounts = Accounts(settings.data) if cluster is None else None
    folder = settings.data / "hub"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A vkd in a pod of its own gets the same key by its own environment.
    ticket_key = os.environ.get("AIINFN_TICKET_KEY") or secret_file(folder / "ticket.key")
    hub_token = secret_file(folder / "hub-service.token")
    metrics_token = os.environ.get("AIINFN_METRICS_TOKEN") or secret_file(folder / "metrics.token")
    if reach.starts_vkd:
        end_orphaned_vkd(settings.data)
    _hub(c, settings, reach, folder)
    _proxy(c, settings, proxy, folder)
    _sign_in(c, settings, file, folder)
    _services(
        c,
        reach,
        _vkd_environment(settings, cluster, ticket_key, folder / "vkd.secrets"),
        hub_token,
        metrics_token,
    )
    c.JupyterHub.services.append(
        {"name": release.SERVICE, "api_token": secret_file(folder / "accounts.token"), "display": False}
    )
    _rights(c, file)
    context = SpawnContext(
        file=file,
        vkd=VkdClient(f"{reach.vkd}{VKD_PREFIX}", hub_token),
        vkd_url=f"{reach.vkd_of_sessions}{VKD_PREFIX}",
        accounts=accounts,
        ticket_key=ticket_key,
    )
    c.JupyterHub.extra_handlers.extend(release.routes(context.vkd, accounts))
    c.IAMAuthenticator.vkd_client = lambda: context.vkd
    if cluster is None:
        _local_sessions(c, settings, context)
    else:
        configure_sessions(c, cluster, platform, context)
    c.JupyterHub.template_vars = {
        # JupyterHub calls what can be called with the reader of the page, and takes what it gives.
        "platform_title": lambda _reader: file.current.title,
        "node_notices": lambda reader: node_notices(context, reader),
        "platform_problem": lambda reader: file.problem if reader and reader.admin else "",
        "demo_accounts": settings.demo_people,
        "shared_account_notice": lambda _reader: str(accounts.notice) if accounts else "",
        "session_ending": lambda _reader: ending_of,
        "sessions_are_pods": cluster is not None,
    }
    # A token that the hub takes back ends at vkd at once.
    identity.Revocations(context.vkd.forget_tokens).watch()
    file.follow()


def _hub(c: Any, settings: HubSettings, reach: Reach, folder: Path) -> None:
    hub = c.JupyterHub
    hub.bind_url = f"http://{settings.host}:{settings.port}/"
    hub.hub_bind_url = f"http://{in_url(reach.bind)}:{settings.hub_port}/"
    if settings.public_url:
        hub.public_url = settings.public_url
    hub.db_url = f"sqlite:///{folder / 'jupyterhub.sqlite'}"
    secret_file(folder / "cookie.secret")
    hub.cookie_secret_file = str(folder / "cookie.secret")
    page_language.configure_pages(c, str(TEMPLATES))
    hub.allow_named_servers = True
    hub.named_server_limit_per_user = NAMED_SERVERS
    hub.concurrent_spawn_limit = CONCURRENT_SPAWNS
    hub.shutdown_on_logout = False
    hub.cleanup_servers = not settings.keep_servers


def _proxy(c: Any, settings: HubSettings, command: list[str], folder: Path) -> None:
    c.JupyterHub.proxy_class = SessionProxy
    c.ConfigurableHTTPProxy.command = guarded(command, os.environ)
    c.ConfigurableHTTPProxy.api_url = f"http://{LOOPBACK}:{settings.proxy_api_port}"
    c.ConfigurableHTTPProxy.auth_token = secret_file(folder / "proxy.token")
    c.ConfigurableHTTPProxy.pid_file = str(folder / "proxy.pid")


def _sign_in(c: Any, settings: HubSettings, file: PlatformFile, folder: Path) -> None:
    full_disk.install()
    c.JupyterHub.authenticator_class = AccountAuthenticator
    accounts = AccountStore(accounts_url(os.environ, settings.data))
    accounts.open()
    accounts.close()
    c.AccountAuthenticator.accounts_url = accounts.url
    iam = c.IAMAuthenticator
    iam.openid_provider_url = settings.issuer
    iam.client_id = settings.client_id
    iam.client_secret = settings.client_secret
    iam.token_client_id = settings.token_client_id
    iam.token_client_secret = settings.token_client_secret
    iam.manage_groups = True
    iam.rules = lambda: Rules.of(file.current)
    iam.platform = lambda: file.current
    c.JupyterHub.extra_handlers = [
        *routes(lambda: file.current),
        *identity.routes(),
        *session_time.routes(),
        *page_language.routes(),
    ]
    c.JupyterHub.custom_scopes = {**CUSTOM_SCOPES, **release.CUSTOM_SCOPES}
    if settings.public_url:
        iam.oauth_callback_url = settings.public_url.rstrip("/") + "/hub/oauth_callback"
    # IAM's tokens are kept encrypted, so that groups can be checked while somebody works.
    iam.enable_auth_state = True
    # One thread keeps the order: of two states that are saved at the same time the later one stays, and with it a refresh
    # token that has just replaced another one.
    c.CryptKeeper.n_threads = 1
    c.CryptKeeper.keys = [bytes.fromhex(secret_file(folder / "auth-state.key"))]


def _vkd_environment(
    settings: HubSettings, cluster: ClusterSettings | None, ticket_key: str, place: Path
) -> dict[str, str]:
    # JupyterHub keeps the environment of a service in its database, and anybody of this account reads it in /proc.
    hidden = {"AIINFN_TICKET_KEY": ticket_key}
    if database := os.environ.get("AIINFN_VKD_DATABASE"):
        hidden["AIINFN_VKD_DATABASE"] = database
    write_secrets(place, hidden)
    environment = {
        "AIINFN_PLATFORM": str(settings.platform),
        "AIINFN_DATA": str(settings.data),
        "AIINFN_VKD_SECRETS": str(place),
    }
    for name in (
        "AIINFN_JOBS_END_WITH_VKD",
        "AIINFN_METRICS_PUBLIC",
        "AIINFN_DEMO_ID",
        "LD_LIBRARY_PATH",
        "TZ",
    ):
        if value := os.environ.get(name):
            environment[name] = value
    if cluster is not None and cluster.vkd_kubeconfig is not None:
        environment["KUBECONFIG"] = str(cluster.vkd_kubeconfig)
    return environment


def _services(c: Any, reach: Reach, environment: dict[str, str], hub_token: str, metrics_token: str) -> None:
    vkd = {"name": VKD_SERVICE, "url": reach.vkd_listens, "display": False}
    if reach.starts_vkd:
        vkd |= {"command": [sys.executable, "-P", "-m", "aiinfn_hub.vkd"], "environment": environment}
    c.JupyterHub.services = [
        vkd,
        {"name": HUB_SERVICE, "api_token": hub_token, "display": False},
        {"name": METRICS_SERVICE, "api_token": metrics_token, "display": False},
    ]
    c.JupyterHub.authenticate_prometheus = os.environ.get("AIINFN_METRICS_PUBLIC") != "1"
    keep_starting()


def _rights(c: Any, file: PlatformFile) -> None:
    # vkd asks who its callers are with their own tokens: its own needs no right.
    c.JupyterHub.load_roles = [
        {"name": HUB_SERVICE, "services": [HUB_SERVICE], "scopes": [USE_VKD]},
        {"name": METRICS_SERVICE, "services": [METRICS_SERVICE], "scopes": ["read:metrics"]},
        {"name": release.SERVICE, "services": [release.SERVICE], "scopes": [release.SCOPE]},
        *manager_roles(file.current),
    ]
    # The token of a session gets what its owner has too, so people need the right as well.
    c.JupyterHub.extra_user_scopes = {USE_VKD, *USER_SCOPES}
    c.Spawner.server_token_scopes = lambda _spawner: [*SERVER_SCOPES, *server_scopes(file.current)]


def _local_sessions(c: Any, settings: HubSettings, context: SpawnContext) -> None:
    c.JupyterHub.spawner_class = LocalSpawner
    c.LocalSpawner.context = context
    c.LocalSpawner.poll_interval = SESSION_POLL
    c.LocalSpawner.env_keep = [*ENV_KEEP, "AIINFN_DEMO_ID"]
    c.LocalSpawner.http_timeout = HTTP_TIMEOUT
    if settings.skeleton:
        c.LocalSpawner.skeleton = settings.skeleton


def proxy_command(environment: Mapping[str, str]) -> list[str]:
    """Find configurable-http-proxy: ``AIINFN_PROXY_COMMAND``, the path, or the checkout's own.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    if chosen := environment.get("AIINFN_PROXY_COMMAND"):
        try:
            command = shlex.split(chosen)
        except ValueError:
            command = []
        if command and shutil.which(command[0]):
            return command
        raise ConfigurationError(f"AIINFN_PROXY_COMMAND names {chosen!r}, which cannot be run.")
    checkout = Path(__file__).parents[2] / "deploy" / "proxy" / "node_modules" / ".bin"
    found = shutil.which("configurable-http-proxy") or shutil.which(
        "configurable-http-proxy", path=str(checkout)
    )
    if found is None:
        raise ConfigurationError(
            "configurable-http-proxy is not installed: run `npm ci --prefix deploy/proxy` in the checkout, "
            "or set AIINFN_PROXY_COMMAND."
        )
    if shutil.which("node") is None:
        raise ConfigurationError("configurable-http-proxy needs Node.js, and there is no `node` in the path.")
    return [found]


def secret_file(path: Path) -> str:
    """Return the secret in a file; the first call makes it.

    The secret is 64 hexadecimal digits. The file appears at once and whole, readable by its owner only, and of two
    processes that make it at the same time both get the same one.

    Raises
    ------
    ConfigurationError
        If others can read the file, or it holds no secret.
    """
    try:
        return _read_secret(path)
    except FileNotFoundError:
        # A link, unlike a rename, does not replace the secret that somebody else made meanwhile.
        with private_draft(path, secrets.token_hex(32)) as draft, contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        return _read_secret(path)


def _read_secret(path: Path) -> str:
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"Others can read {path}; run `chmod 600 {path}`, or delete it to get a new secret."
        )
    secret = path.read_text(encoding="ascii").strip()
    if len(secret) != 64 or set(secret) - set("0123456789abcdef"):
        raise ConfigurationError(f"{path} holds no secret; delete it to get a new one.")
    return secret
