"""Statements in envelopes: DSSE v1 (https://github.com/secure-systems-lab/dsse) around in-toto Statement v1."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from physlab.errors import ValidationError
from physlab.keys import canonical
from physlab.signing.minisign import PublicKey
from physlab.signing.secretkey import SecretKey

PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
Envelope = dict[str, Any]
"""`payloadType`, `payload` (base64) and `signatures`, each with `keyid` and `sig` (base64)."""


def seal_envelope(secret: SecretKey, name: str, sha256: str, kind: str, predicate: dict[str, Any]) -> Envelope:
    """Return a signed statement on something that has a digest.

    Args:
        secret: The signer's.
        name: What it is called.
        sha256: Its digest.
        kind: URI of what kind of statement it is.
        predicate: What is said of it.
    """
    subject = [{"name": name, "digest": {"sha256": sha256}}]
    payload = canonical({"_type": STATEMENT, "subject": subject, "predicateType": kind, "predicate": predicate})
    signature = base64.b64encode(secret.sign(framed(PAYLOAD, payload))).decode()
    return {
        "payloadType": PAYLOAD, "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": secret.public.id, "sig": signature}],
    }  # fmt: skip


def open_envelope(envelope: Envelope, public: PublicKey) -> dict[str, Any]:
    """Return the statement in an envelope, verified.

    Raises:
        ValidationError: It is malformed, another key signed, or it was changed.
    """
    try:
        payload = _exact(envelope["payload"])
        [signature] = envelope["signatures"]
        signer, made = signature["keyid"], _exact(signature["sig"])
        if envelope["payloadType"] != PAYLOAD or set(envelope) != {"payloadType", "payload", "signatures"}:
            raise ValueError("payloadType")
        if set(signature) != {"keyid", "sig"}:
            raise ValueError("signatures")
    except (KeyError, TypeError, ValueError) as error:
        raise ValidationError(
            f"This is no DSSE envelope: {error}.", hint="Take the file as it was exported."
        ) from error
    if signer != public.id:
        raise ValidationError(f"Key {signer} signed, not {public.id}.", hint="Give the signer's public key.")
    try:
        Ed25519PublicKey.from_public_bytes(public.point).verify(made, framed(PAYLOAD, payload))
        statement = orjson.loads(payload)
    except (InvalidSignature, orjson.JSONDecodeError) as error:
        raise ValidationError(
            f"The statement of {public.id} does not hold: it was changed.", hint="Ask the signer for the original."
        ) from error
    if statement.get("_type") != STATEMENT:
        raise ValidationError(f"'{statement.get('_type')}' is no in-toto statement.", hint=f"Expected: {STATEMENT}.")
    return dict(statement)


def framed(kind: str, payload: bytes) -> bytes:
    """Return what is signed of a payload of some kind: the pre-authentication encoding of DSSE."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def _exact(text: str) -> bytes:
    """Return the bytes of base64 that is spelled in its only way."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("no base64") from error
    if base64.b64encode(data).decode() != text:
        raise ValueError("no base64")
    return data
