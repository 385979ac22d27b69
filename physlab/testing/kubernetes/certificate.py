"""The certificates of one cluster's API: without TLS no client sends its token."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

LIFE = timedelta(days=2)


def make(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make an authority and the certificate of a server on this machine.

    Args:
        folder: Where they are written.

    Returns:
        What the server speaks with, and the file that clients trust.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(
        subject: str, key: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePublicKey, authority: bool
    ) -> x509.CertificateBuilder:
        begin = datetime.now(UTC) - timedelta(hours=1)
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject)).issuer_name(named("kubernetes")).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(begin + LIFE)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        )  # fmt: skip

    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = builder("kubernetes", authority, authority.public_key(), True).sign(authority, hashes.SHA256())
    names = x509.SubjectAlternativeName([
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost"),
        x509.DNSName("kubernetes.default.svc"),
    ])  # fmt: skip
    leaf = (
        builder("kube-apiserver", server, authority.public_key(), False)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    trusted, own = folder / "ca.crt", folder / "server.pem"
    trusted.write_bytes(root.public_bytes(pem))
    secret = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    own.touch(0o600)
    own.write_bytes(secret + leaf.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    return context, trusted
