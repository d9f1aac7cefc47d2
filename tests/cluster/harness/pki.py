"""Certificates and kubeconfig files of one cluster, made with the openssl command (elliptic-curve keys: fast)."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import yaml

DAYS = "3650"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Pki:
    """The folder of a cluster's keys and certificates; ``pki["ca.crt"]`` is a file in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, file: str) -> Path:
        return self.folder / file

    @property
    def ca_base64(self) -> str:
        """The authority's certificate as it stands in manifests."""
        return _base64(self["ca.crt"])

    def authority(self) -> None:
        """Make the one certificate authority, and the key pair that signs service account tokens."""
        self.folder.mkdir(mode=0o700, parents=True)
        _openssl(
            *("req", "-x509", *NEW_KEY, "-days", DAYS, "-subj", "/CN=cluster-ca"),
            *("-keyout", self["ca.key"], "-out", self["ca.crt"]),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self["sa.key"])
        _openssl("ec", "-in", self["sa.key"], "-pubout", "-out", self["sa.pub"])

    def certificate(
        self, name: str, common_name: str, *, groups: tuple[str, ...] = (), sans: tuple[str, ...] = ()
    ) -> None:
        """Make NAME.crt and NAME.key, good for client and server; ``sans`` as "DNS:..." or "IP:..."."""
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={common_name}"
        extensions = [
            "keyUsage=digitalSignature,keyEncipherment",
            "extendedKeyUsage=serverAuth,clientAuth",
            "authorityKeyIdentifier=keyid",
        ]
        if sans:
            extensions.append("subjectAltName=" + ",".join(sans))
        request, extension_file = self[f"{name}.csr"], self[f"{name}.ext"]
        extension_file.write_text("\n".join(extensions) + "\n")
        _openssl("req", *NEW_KEY, "-keyout", self[f"{name}.key"], "-subj", subject, "-out", request)
        _openssl(
            *("x509", "-req", "-in", request, "-days", DAYS, "-extfile", extension_file),
            *(
                "-CA",
                self["ca.crt"],
                "-CAkey",
                self["ca.key"],
                "-CAcreateserial",
                "-out",
                self[f"{name}.crt"],
            ),
        )
        request.unlink()
        extension_file.unlink()

    def certificate_kubeconfig(self, name: str, server: str, target: Path) -> None:
        """Write a self-contained kubeconfig that logs in with NAME.crt."""
        user = {
            "client-certificate-data": _base64(self[f"{name}.crt"]),
            "client-key-data": _base64(self[f"{name}.key"]),
        }
        self.kubeconfig(server, user, target)

    def kubeconfig(self, server: str, user: dict[str, Any], target: Path, namespace: str = "default") -> None:
        """Write a kubeconfig that only its owner can read; ``user``: how it logs in."""
        cluster = {"server": server, "certificate-authority-data": self.ca_base64}
        context = {"cluster": "cluster", "user": "user", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "context",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "context", "context": context}],
        }
        target.touch(mode=0o600)
        target.write_text(yaml.safe_dump(config))


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _openssl(*arguments: str | Path) -> None:
    words = ["openssl", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.strip()}")
