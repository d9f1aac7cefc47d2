"""Run the provider: ``python -m aiinfn_hub.demo.identity_provider --port 8090``.

Secrets come from the environment, never from the command line, which every user of a machine can read.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

import click
import yaml

# Authlib refuses plain http otherwise. This provider is on loopback only.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from werkzeug.serving import WSGIRequestHandler, make_server

from .app import ProviderSettings, create_app, make_client
from .people import ACCOUNTS, DemoAccount


class _QuietHandler(WSGIRequestHandler):
    """One log line a request without its query, which may hold a code."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        logging.getLogger("dev_iam").info("%s %s %s", code, self.command, self.path.partition("?")[0])


def _accounts(path: Path | None) -> tuple[DemoAccount, ...]:
    if path is None:
        return ACCOUNTS
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        return tuple(DemoAccount(**entry | {"groups": tuple(entry.get("groups", ()))}) for entry in entries)
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise click.ClickException(
            f"{path} must be a list of accounts with username, given_name, family_name, who and groups ({error})."
        ) from None


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8090, show_default=True)
@click.option("--issuer", help="URL that the hub knows it by; default: http://127.0.0.1:PORT.")
@click.option(
    "--users", type=click.Path(path_type=Path), help="YAML list of accounts instead of the usual five."
)
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Registered return address; repeatable.")
@click.option("--client-id", default="aiinfn-hub", show_default=True)
@click.option("--client-title", default="AI_INFN demonstration", show_default=True)
@click.option("--token-lifetime", type=click.IntRange(1), default=3600, show_default=True, help="Seconds.")
@click.option("--rotate", is_flag=True, help="Replace a refresh token at each use.")
@click.option("--no-logout", is_flag=True, help="Announce no address for signing out.")
def main(
    *,
    port: int,
    issuer: str | None,
    users: Path | None,
    redirect_uris: tuple[str, ...],
    client_id: str,
    client_title: str,
    token_lifetime: int,
    rotate: bool,
    no_logout: bool,
) -> None:
    """Run an OpenID Connect provider without passwords for a demonstration on this machine.

    AIINFN_IAM_CLIENT_SECRET holds the client's secret, AIINFN_IAM_ADMIN_TOKEN (for tests) opens /admin. With
    AIINFN_IAM_TOKEN_CLIENT_SECRET there is a second client, aiinfn-tokens, which exchanges tokens.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = ProviderSettings(
        issuer=(issuer or f"http://127.0.0.1:{port}").rstrip("/"),
        client=make_client(
            client_id, os.environ.get("AIINFN_IAM_CLIENT_SECRET", ""), redirect_uris, client_title
        ),
        admin_token=os.environ.get("AIINFN_IAM_ADMIN_TOKEN", ""),
        token_lifetime=token_lifetime,
        rotate=rotate,
        logout=not no_logout,
        token_client=make_client("aiinfn-tokens", token_secret, (), "Tokens for sessions")
        if (token_secret := os.environ.get("AIINFN_IAM_TOKEN_CLIENT_SECRET"))
        else None,
    )
    app = create_app(settings, _accounts(users))
    try:
        server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_QuietHandler)
    except (OSError, SystemExit):  # werkzeug exits by itself, with its own words, when the port is taken
        raise click.ClickException(f"Port {port} is taken; choose another with --port.") from None

    def stop(*_: object) -> None:
        # shutdown() waits for the loop that this handler has interrupted.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    logging.getLogger("dev_iam").info(
        "Provider without passwords, for demonstrations, on %s", settings.issuer
    )
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    sys.exit(main())
