"""Runs Kueue's manager as a plain process of this machine instead of a Deployment."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = "system:serviceaccount:kueue-system:kueue-controller-manager"
"""Whom Kueue's RBAC rules name."""

TLS_NAMES = (
    "DNS:kueue-webhook-service.kueue-system.svc",
    "DNS:kueue-visibility-server.kueue-system.svc",
    "DNS:localhost",
)
MANAGED = {"matchLabels": {"kueue-managed": "true"}}
COMMAND = ("/kueue", "--config=/config.yaml", "--kubeconfig=/kubeconfig", "--zap-log-level=2")
"""Inside the root folder that `write_root` makes."""


def adapt(
    document: dict[str, Any], ca_base64: str, webhook_port: int, visibility_port: int
) -> dict[str, Any] | None:
    """Change one of Kueue's manifests so that it leads the API server to the process; None: it is not wanted.

    The API server resolves a Service of type ExternalName for webhooks, conversion and aggregation alike, while TLS
    goes on checking the Service's own name.
    """
    kind, spec = document["kind"], document.get("spec", {})
    if kind == "Deployment":
        return None
    if kind == "Service":
        document["spec"] = {"type": "ExternalName", "externalName": "localhost"}
    elif kind == "APIService":
        spec.pop("insecureSkipTLSVerify", None)
        spec["caBundle"] = ca_base64
        spec["service"]["port"] = visibility_port
    elif kind == "CustomResourceDefinition" and spec.get("conversion", {}).get("strategy") == "Webhook":
        _lead(spec["conversion"]["webhook"]["clientConfig"], ca_base64, webhook_port)
    elif kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for webhook in document["webhooks"]:
            _lead(webhook["clientConfig"], ca_base64, webhook_port)
            # The default asks Kueue about the pods of every namespace and fails closed: a dead Kueue would block
            # every session.
            webhook["namespaceSelector"] = MANAGED
    return document


def write_root(
    folder: Path, binary: Path, policy: Path, kubeconfig: Path, tls: tuple[Path, Path], ports: dict[str, int]
) -> None:
    """Make a root folder for chroot: Kueue reads certificates from fixed places.

    Parameters
    ----------
    policy
        Kueue's configuration, to which addresses, ports and certificate folders are added.
    tls
        Certificate and key.
    ports
        "webhook", "visibility", "health" and "metrics".
    """
    config = yaml.safe_load(policy.read_text())
    config["health"] = {"healthProbeBindAddress": f"127.0.0.1:{ports['health']}"}
    config["metrics"]["bindAddress"] = f"127.0.0.1:{ports['metrics']}"
    config["webhook"] = {"host": "127.0.0.1", "port": ports["webhook"], "certDir": "/visibility"}
    config["visibilityServer"] = {"bindAddress": "127.0.0.1", "bindPort": ports["visibility"]}
    config["internalCertManagement"] = {"enable": False}
    for certificates in (folder / "visibility", folder / "etc/kueue/metrics/certs"):
        certificates.mkdir(parents=True)
        for file, name in zip(tls, ("tls.crt", "tls.key"), strict=True):
            shutil.copy(file, certificates / name)
    (folder / "tmp").mkdir()
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.copy(kubeconfig, folder / "kubeconfig")
    try:
        os.link(binary, folder / "kueue")
    except OSError:  # another file system
        shutil.copy(binary, folder / "kueue")


def answers(health_port: int) -> bool:
    """Whether the manager says that it is ready."""
    with socket.create_connection(("127.0.0.1", health_port), timeout=2) as connection:
        connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(64)


def _lead(client_config: dict[str, Any], ca_base64: str, port: int) -> None:
    client_config["caBundle"] = ca_base64
    client_config["service"]["port"] = port
