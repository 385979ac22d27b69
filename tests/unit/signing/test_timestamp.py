"""Time stamps of a local authority, verified here, and independently by others."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from physlab.errors import ResourceError, ValidationError
from physlab.keys import digest_bytes
from physlab.signing.timestamp import ask, query, read_reply, verify_stamp
from tests.unit.notebook.authority import Authority

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
DATA = b"The levels of hydrogen."
SHA = digest_bytes(DATA)


@pytest.fixture(scope="module", params=[("ec", "sha256"), ("rsa:2048", "sha512")], ids=["ec", "rsa"])
def authority(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), *request.param)


@pytest.fixture(scope="module")
def token(authority: Authority) -> bytes:
    return ask("", SHA, authority.answer)


def test_a_stamp_is_asked_for_over_http_and_verified_offline(authority: Authority) -> None:
    with authority.served() as url:
        token = ask(url, SHA)
        for odd in ("redirect", "long"):
            with pytest.raises(ResourceError, match="gives none"):
                ask(url + odd, SHA)
    for known in (authority.signer, authority.root, authority.root + authority.signer):
        stamp = verify_stamp(token, SHA, known)
        assert (stamp.sha256, stamp.authority, stamp.policy) == (SHA, "Test authority", "1.2.3.4.1")
        assert stamp.at.endswith("+00:00") and stamp.serial > 0
    assert DATA not in b"".join(authority.asked)


def test_nobody_there_is_told() -> None:
    with pytest.raises(ResourceError, match="gives none"):
        ask("http://127.0.0.1:9/", SHA)


def test_others_read_it_too(authority: Authority, token: bytes, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(token)
    (tmp_path / "data").write_bytes(DATA)
    words = ["openssl", "ts", "-verify", "-data", "data", "-in", "token", "-token_in", "-CAfile",
             str(authority.folder / "ca.pem"), "-untrusted", str(authority.folder / "signer.pem")]  # fmt: skip
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "Verification: OK" in done.stdout, done.stderr
    client = pytest.importorskip("rfc3161_client")
    from cryptography import x509

    reply = client.decode_timestamp_response(authority.answer("", query(SHA, 7)))
    root = x509.load_pem_x509_certificate(authority.root.encode())
    client.VerifierBuilder().add_root_certificate(root).build().verify(reply, bytes.fromhex(SHA))
    assert read_reply(reply.as_bytes(), SHA, 7)


def test_a_stamp_of_something_else_or_by_another_is_refused(authority: Authority, token: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="of something else"):
        verify_stamp(token, digest_bytes(b"other"), authority.root)
    other = Authority(tmp_path)
    with pytest.raises(ValidationError, match="not known here"):
        verify_stamp(token, SHA, other.root)
    with pytest.raises(ValidationError, match="answers another question"):
        read_reply(authority.answer("", query(SHA, 7)), SHA, 8)
    with pytest.raises(ValidationError, match="answers another question"):
        read_reply(authority.answer("", query(digest_bytes(b"other"), 7)), SHA, 7)
    with pytest.raises(ValidationError, match="refuses"):
        read_reply(authority.answer("", b"\x30\x03\x02\x01\x01"), SHA, 7)
    with pytest.raises(ValidationError, match="no SHA-256"):
        query("abc", 1)


def test_a_certificate_for_something_else_stamps_nothing(authority: Authority, token: bytes) -> None:
    """One that the same root issued for another use must not stand in."""
    from asn1crypto import cms

    content = cms.ContentInfo.load(token)
    assert b"timeStamping" not in token and verify_stamp(token, SHA, authority.root)
    swapped = content.copy()
    swapped["content"]["certificates"] = []
    with pytest.raises(ValidationError, match="does not hold the certificate"):
        verify_stamp(swapped.dump(force=True), SHA, authority.root)


def test_every_changed_byte_that_matters_is_found(authority: Authority, token: bytes) -> None:
    """What changes without being found is outside what is signed, and changes nothing of what is told."""
    choose, told = random.Random(5), verify_stamp(token, SHA, authority.root)
    lost = 0
    for _ in range(300):
        at = choose.randrange(len(token))
        changed = token[:at] + bytes([token[at] ^ 1 << choose.randrange(8)]) + token[at + 1 :]
        try:
            assert verify_stamp(changed, SHA, authority.root) == told
            lost += 1
        except ValidationError:
            pass
    assert lost < 60  # version numbers and names of algorithms, beside what is signed
