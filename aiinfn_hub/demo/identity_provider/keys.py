"""Signing keys, each with a certificate."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import uuid
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc.jwk import RSAKey

ALGORITHM: Final = "RS256"


def make_key() -> RSAKey:
    """Make a signing key with a self-signed certificate, since some consumers (Ceph's gateway) need ``x5c``."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Demonstration IAM")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .sign(private, hashes.SHA256())
    ).public_bytes(serialization.Encoding.DER)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).decode().rstrip("=")
    return RSAKey.import_key(
        pem,
        {
            "kid": uuid.uuid4().hex,
            "use": "sig",
            "alg": ALGORITHM,
            "x5c": [base64.b64encode(certificate).decode()],
            "x5t#S256": thumbprint,
        },
    )
