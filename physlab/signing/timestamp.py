"""Time stamps of an authority (RFC 3161): asked for over HTTP, and verified without asking anybody."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from physlab.errors import ResourceError, ValidationError
from physlab.keys import digest_named, same

if TYPE_CHECKING:
    from asn1crypto import cms, tsp  # type: ignore[import-untyped]

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
MAX_BYTES = 65_536
LIMIT_S = 30.0
GRANTED = (0, 1)
Send = Callable[[str, bytes], bytes]
"""Sends a query to the authority at an address and returns its reply."""
_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512,
}  # fmt: skip

_ODD = (ValueError, TypeError, KeyError, AttributeError, IndexError, x509.InvalidVersion, x509.ExtensionNotFound,
        x509.DuplicateExtension, UnsupportedAlgorithm)  # fmt: skip
"""What the readers of DER throw at what is none."""


@dataclass(frozen=True)
class Stamp:
    """That something existed at a time.

    Attributes:
        at: The time, in UTC.
        sha256: Of what.
        authority: Who says so: the name in its certificate.
        serial: Number that the authority gave the stamp.
        policy: Under which rules, as an object identifier.
    """

    at: str
    sha256: str
    authority: str
    serial: int
    policy: str


def ask(url: str, sha256: str, send: Send | None = None) -> bytes:
    """Ask an authority for a stamp.

    Args:
        url: Its address.
        sha256: Digest of what is to be stamped; nothing else is sent.
        send: Sends it; over HTTP by default.

    Returns:
        The stamp: a token in DER, for `verify_stamp`.

    Raises:
        ResourceError: The authority cannot be reached.
        ValidationError: It refuses, or its reply answers another question.
    """
    nonce = secrets.randbits(63)
    return read_reply((send or post)(url, query(sha256, nonce)), sha256, nonce)


def query(sha256: str, nonce: int) -> bytes:
    """Return a query in DER."""
    from asn1crypto import algos, tsp

    imprint = {"hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}), "hashed_message": _bytes(sha256)}
    return bytes(tsp.TimeStampReq({"version": 1, "message_imprint": imprint, "cert_req": True, "nonce": nonce}).dump())


def _bytes(sha256: str) -> bytes:
    try:
        digest = bytes.fromhex(sha256)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ValidationError(f"'{sha256[:70]}' is no SHA-256.", hint="Give 64 hexadecimal digits.")
    return digest


def post(url: str, data: bytes) -> bytes:
    """Send a query over HTTP; redirects are not followed, and a long reply is not read.

    Raises:
        ResourceError: Nobody answers there, or what answers is no authority.
    """
    import httpx

    from physlab.outgoing import client, read_reply

    try:
        with (
            client(url, limit_s=LIMIT_S, headers={"Content-Type": QUERY, "Accept": REPLY}) as http,
            http.stream("POST", url, content=data) as reply,
        ):
            kind = reply.headers.get("Content-Type", "").partition(";")[0]
            if reply.status_code != 200 or kind != REPLY:
                raise _unreachable(url, f"it answers {reply.status_code} {kind or 'without a type'}")
            return read_reply(reply, MAX_BYTES, LIMIT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(url, str(error) or type(error).__name__) from error


def _unreachable(url: str, why: str) -> ResourceError:
    return ResourceError(
        f"The authority of time stamps at {url[:200]} gives none: {why}.",
        hint="Try again later, or name another one in the settings; without a stamp everything else still holds.",
    )


def read_reply(data: bytes, sha256: str, nonce: int) -> bytes:
    """Return the token in a reply.

    Raises:
        ValidationError: The authority refused, or the reply answers another question.
    """
    from asn1crypto import core, tsp

    try:
        status = int(core.Sequence.load(data, strict=True)[0][0].native)
        if status not in GRANTED:
            raise ValidationError(
                f"The authority refuses a time stamp: status {status}.", hint="Ask who runs it, or name another one."
            )
        token = tsp.TimeStampResp.load(data, strict=True)["time_stamp_token"]
        info = _info(token)
        told = int(info["nonce"].native or 0)
    except _ODD as error:
        if isinstance(error, ValidationError):
            raise
        raise _malformed(error) from error
    if told != nonce or not _is_of(info, sha256):
        raise ValidationError("The reply of the authority answers another question.", hint="Ask again.")
    return bytes(token.dump())


def verify_stamp(token: bytes, sha256: str, authority: str) -> Stamp:
    """Verify a stamp against the certificate of its authority, without asking anybody.

    Args:
        token: The stamp, as `ask` returned it.
        sha256: Digest of what it is to be of.
        authority: Certificates in PEM: that of the authority, or of who issued that.

    Raises:
        ValidationError: It is of something else, was changed, or another one made it; the message says which.
    """
    from asn1crypto import cms

    try:
        signed = cms.ContentInfo.load(token, strict=True)
        info = _info(signed)
        content = signed["content"]
        [signer] = content["signer_infos"]
        certificate = _certificate(content, signer)
        if not _is_of(info, sha256):
            raise _untrue("it is of something else")
        _check_attributes(content, signer, certificate)
        _check_signature(signer, certificate)
        _check_authority(certificate, authority, info["gen_time"].native)
        name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        at = info["gen_time"].native.astimezone(UTC).isoformat()
        return Stamp(
            at, sha256, str(name[0].value) if name else certificate.subject.rfc4514_string(),
            int(info["serial_number"].native), str(info["policy"].dotted),
        )  # fmt: skip
    except _ODD as error:
        if isinstance(error, ValidationError):
            raise
        raise _malformed(error) from error


def _info(token: cms.ContentInfo) -> tsp.TSTInfo:
    if token["content_type"].native != "signed_data":
        raise ValueError("it is not signed")
    inner = token["content"]["encap_content_info"]
    if inner["content_type"].native != "tst_info":
        raise ValueError("it is signed, but no time stamp")
    return inner["content"].parsed


def _is_of(info: Any, sha256: str) -> bool:
    imprint = info["message_imprint"]
    return imprint["hash_algorithm"]["algorithm"].native == "sha256" and same(
        bytes(imprint["hashed_message"].native).hex(), _bytes(sha256).hex()
    )


def _certificate(content: Any, signer: Any) -> x509.Certificate:
    """Return the signer's certificate among those that the token holds."""
    wanted = signer["sid"].chosen
    for choice in content["certificates"] or ():
        found = choice.chosen
        if wanted.native == _identity(found, signer["sid"].name):
            return x509.load_der_x509_certificate(found.dump())
    raise _untrue("it does not hold the certificate of who signed it")


def _identity(found: Any, kind: str) -> Any:
    if kind == "subject_key_identifier":
        return found.key_identifier
    from asn1crypto import cms

    return cms.IssuerAndSerialNumber({"issuer": found.issuer, "serial_number": found.serial_number}).native


def _check_attributes(content: Any, signer: Any, certificate: x509.Certificate) -> None:
    """Verify what is signed: that it is a time stamp, the digest of its content, and whose certificate made it."""
    told = {attribute["type"].native: attribute["values"] for attribute in signer["signed_attrs"]}
    inner = content["encap_content_info"]["content"]
    if told["content_type"][0].native != "tst_info" or len(told) != len(signer["signed_attrs"]):
        raise _untrue("its attributes are those of something else")
    name = signer["digest_algorithm"]["algorithm"].native
    if name not in _HASHES or digest_named(name, bytes(inner.contents)) != told["message_digest"][0].native:
        raise _untrue("its content was changed")
    by = told.get("signing_certificate_v2") or told["signing_certificate"]
    named = by[0]["certs"][0]
    used = named["hash_algorithm"]["algorithm"].native if "signing_certificate_v2" in told else "sha1"
    der = certificate.public_bytes(serialization.Encoding.DER)
    if digest_named(used, der) != named["cert_hash"].native:
        raise _untrue("it names another certificate than the one it holds")


def _check_signature(signer: Any, certificate: x509.Certificate) -> None:
    data = signer["signed_attrs"].untag().dump(force=True)
    signature, key = bytes(signer["signature"].native), certificate.public_key()
    algorithm = _HASHES[signer["digest_algorithm"]["algorithm"].native]()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            raise _untrue(f"its key is of a kind that is not taken ({type(key).__name__})")
    except InvalidSignature as error:
        raise _untrue("its signature does not hold") from error


def _check_authority(certificate: x509.Certificate, authority: str, at: Any) -> None:
    """Verify that a certificate is an authority's, was valid at that time, and is known or issued by a known one."""
    usage = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE)
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:  # type: ignore[call-overload]
        raise _untrue("its certificate is not one for time stamps")
    known = x509.load_pem_x509_certificates(authority.encode())
    if not any(_comes_from(certificate, one) for one in known):
        raise _untrue("its authority is not known here")
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise _untrue(f"its certificate was not valid at {at.isoformat()}")


def _comes_from(certificate: x509.Certificate, known: x509.Certificate) -> bool:
    if certificate == known:
        return True
    try:
        certificate.verify_directly_issued_by(known)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _untrue(why: str) -> ValidationError:
    return ValidationError(
        f"The time stamp does not hold: {why}.", hint="Ask for the original, and the certificate of its authority."
    )


def _malformed(error: Exception) -> ValidationError:
    why = str(error).partition("\n")[0] or type(error).__name__
    return ValidationError(f"This is no time stamp: {why}.", hint="Take the file as it was kept.")
