"""The certificate with which a lab seals what it prints: ECDSA P-256, made here, known to nobody else beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from physlab.errors import ConfigurationError
from physlab.keys import digest_bytes
from physlab.notebook.writing import Clock, now
from physlab.sealing.keyfiles import locked, read_secret, write_secret

FILE = "paper.pem"
"""Key and certificate in one file, so that they always fit."""
YEARS = 20
_END = "-----END CERTIFICATE-----\n"


@dataclass(frozen=True, repr=False)
class Certificate:
    """A pair of keys with its certificate.

    Attributes:
        pem: The certificate, as others get it.
        key_pem: The secret key.
    """

    pem: str
    key_pem: str

    @cached_property
    def x509(self) -> x509.Certificate:
        """The certificate, read."""
        return x509.load_pem_x509_certificate(self.pem.encode())

    @property
    def name(self) -> str:
        """Whom it names."""
        return str(self.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 by which somebody knows it again."""
        return fingerprint(self.pem)


def fingerprint(pem: str) -> str:
    """Return the SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` prints it without colons."""
    return digest_bytes(x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER))


def lab_certificate(folder: Path, lab: str = "", clock: Clock = now) -> Certificate:
    """Return the certificate of a lab; made when it is first asked for, and kept for its owner alone.

    Args:
        folder: The lab's folder of keys, usually `PHYSLAB_HOME/keys`.
        lab: Name of the lab, for a certificate that is made.
        clock: Tells when.

    Raises:
        ConfigurationError: Its file is damaged, or others may read it.
        StoreError: It cannot be written.
    """
    path = folder / FILE
    with locked(folder, ".paper.lock"):
        if not path.exists():
            write_secret(path, _make(lab, clock()).encode("ascii"))
    text = read_secret(path)
    pem, end, key = text.partition(_END)
    try:
        found = Certificate(pem + end, key)
        secret = serialization.load_pem_private_key(key.encode(), None)
        if found.x509.public_key() != secret.public_key():
            raise ValueError("the key is not that of the certificate")
    except (ValueError, TypeError, IndexError) as error:
        raise ConfigurationError(
            f"The certificate {path} is damaged: {error}.",
            hint=f"Restore it from a copy, or move it away and a new one is made: mv {path} {path}.old",
        ) from error
    return found


def _make(lab: str, at: datetime) -> str:
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, (lab or "physlab")[:64])])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    start = at.astimezone(UTC).replace(microsecond=0)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(secret.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=366 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False)
        .sign(secret, hashes.SHA256())
    )  # fmt: skip
    key = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode() + key.decode()
