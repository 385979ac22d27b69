"""What people hold in their hands: an authenticator app, and a device with passkeys on the curve P-256."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
import pyotp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from physlab.collab.database import MICRO, Clock

PRESENT, VERIFIED, ATTESTED = 1, 4, 64


def app_code(secret: str, clock: Clock, steps: int = 0) -> str:
    """Return what an authenticator app shows so many steps from now."""
    return str(pyotp.TOTP(secret).at(clock.now() // MICRO, counter_offset=steps))


def coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Device:
    """Makes and shows passkeys for a page; each attribute can be set to what an honest device would not do."""

    origin: str = "https://lab.example.org"
    flags: int = PRESENT | VERIFIED
    party: str | None = None
    counter: int = 0
    step: int = 1
    keys: dict[bytes, Any] = field(default_factory=dict)
    handle: bytes | None = None

    def create(self, options: str) -> str:
        """Answer `navigator.credentials.create`."""
        asked = json.loads(options)
        key, name = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
        self.keys[name], self.handle = key, decoded(asked["user"]["id"])
        point = key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)})
        attested = bytes(16) + struct.pack(">H", len(name)) + name + public
        data = self._data(asked["rp"]["id"], ATTESTED) + attested
        proof = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        said = {"clientDataJSON": coded(self._said("create", asked)), "attestationObject": coded(proof)}
        return self._credential(name, said)

    def get(self, options: str, name: bytes | None = None) -> str:
        """Answer `navigator.credentials.get`."""
        asked = json.loads(options)
        name = name or next(iter(self.keys))
        said, data = self._said("get", asked), self._data(asked["rpId"])
        signed = self.keys[name].sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        shown = {"clientDataJSON": said, "authenticatorData": data, "signature": signed, "userHandle": self.handle}
        return self._credential(name, {word: coded(value) for word, value in shown.items() if value is not None})

    def _said(self, what: str, asked: dict[str, Any]) -> bytes:
        return json.dumps(
            {"type": f"webauthn.{what}", "challenge": asked["challenge"], "origin": self.origin, "crossOrigin": False}
        ).encode()

    def _data(self, party: str, more: int = 0) -> bytes:
        self.counter += self.step
        digest = hashlib.sha256((self.party or party).encode()).digest()
        return digest + struct.pack(">BI", self.flags | more, self.counter)

    def _credential(self, name: bytes, response: dict[str, str]) -> str:
        return json.dumps(
            {"id": coded(name), "rawId": coded(name), "type": "public-key", "response": response,
             "clientExtensionResults": {}}
        )  # fmt: skip
