"""Keys and signatures, held against minisign itself; statements, held against the specification of DSSE."""

from __future__ import annotations

import base64
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from physlab.errors import ValidationError
from physlab.keys import digest_bytes
from physlab.signing import (
    SecretKey,
    make_secret,
    open_envelope,
    read_public,
    read_signature,
    seal_envelope,
    statement,
    unlock,
    verify,
)

needs_minisign = pytest.mark.skipif(shutil.which("minisign") is None, reason="minisign is not installed")
DATA = b'{"title":"Levels of hydrogen"}'


def minisign(*words: object, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["minisign", *map(str, words)], input=said, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(scope="module")
def secret() -> SecretKey:
    return make_secret()


@needs_minisign
def test_s31_minisign_verifies_what_is_signed_here(secret: SecretKey, tmp_path: Path) -> None:
    (tmp_path / "entry.json").write_bytes(DATA)
    (tmp_path / "entry.json.minisig").write_text(secret.minisign(DATA, "meaning: author"))
    (tmp_path / "ada.pub").write_text(secret.public.text())
    done = minisign("-V", "-p", tmp_path / "ada.pub", "-m", tmp_path / "entry.json")
    assert done.returncode == 0 and "Trusted comment: meaning: author" in done.stdout, done.stderr
    assert minisign("-V", "-P", secret.public.line, "-m", tmp_path / "entry.json").returncode == 0
    (tmp_path / "entry.json").write_bytes(DATA + b" ")
    assert minisign("-V", "-p", tmp_path / "ada.pub", "-m", tmp_path / "entry.json").returncode != 0


@needs_minisign
def test_keys_and_signatures_of_minisign_are_read_here(tmp_path: Path) -> None:
    public, kept, file = tmp_path / "m.pub", tmp_path / "m.key", tmp_path / "data"
    file.write_bytes(DATA)
    assert minisign("-G", "-p", public, "-s", kept, said="pass\npass\n").returncode == 0
    assert minisign("-S", "-s", kept, "-m", file, "-t", "by minisign", said="pass\n").returncode == 0
    signed = read_signature((tmp_path / "data.minisig").read_text())
    key = read_public(public.read_text())
    verify(key, DATA, signed)
    assert signed.comment == "by minisign" and key.id.lstrip("0") in public.read_text()
    secret = unlock(kept.read_text(), "pass")
    assert secret.public == key
    with pytest.raises(ValidationError, match="passphrase does not open"):
        unlock(kept.read_text(), "Pass")


@needs_minisign
def test_minisign_signs_with_a_key_of_ours(secret: SecretKey, tmp_path: Path) -> None:
    kept, file = tmp_path / "ada.key", tmp_path / "data"
    kept.write_text(secret.lock("correct horse"))
    file.write_bytes(DATA)
    assert minisign("-S", "-s", kept, "-m", file, said="correct horse\n").returncode == 0
    verify(secret.public, DATA, read_signature((tmp_path / "data.minisig").read_text()))
    assert minisign("-S", "-s", kept, "-m", file, said="wrong\n").returncode != 0


def test_a_locked_key_tells_nothing_and_opens_again(secret: SecretKey) -> None:
    text = secret.lock("correct horse")
    raw = base64.b64decode(text.splitlines()[1])
    assert secret.seed not in raw and secret.number not in raw and repr(secret.seed) not in repr(secret)
    assert unlock(text, "correct horse") == secret
    with pytest.raises(ValidationError, match="no secret key of minisign"):
        unlock(text.replace("R", ""), "correct horse")


def test_s31_any_changed_character_of_a_signature_is_refused(secret: SecretKey) -> None:
    text, choose = secret.minisign(DATA, "meaning: author; entry 0123456789abcdef"), random.Random(1)
    first = text.index("\n") + 1  # the first line is a comment that nobody signs
    verify(secret.public, DATA, read_signature(text))
    for place in range(first, len(text)):
        for other in choose.sample("ABCXYZabcxyz0189+/=. \n", 4):
            if other != text[place]:
                with pytest.raises(ValidationError):
                    verify(secret.public, DATA, read_signature(text[:place] + other + text[place + 1 :]))
    for cut in range(first, len(text)):
        with pytest.raises(ValidationError):
            verify(secret.public, DATA, read_signature(text[:cut]))
    for bit in range(8 * len(DATA)):
        changed = bytearray(DATA)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValidationError, match="content or its signature"):
            verify(secret.public, bytes(changed), read_signature(text))


def test_another_key_is_named(secret: SecretKey) -> None:
    signed = read_signature(secret.minisign(DATA, ""))
    other = make_secret().public
    with pytest.raises(ValidationError, match=f"Key {secret.public.id} signed, not {other.id}"):
        verify(other, DATA, signed)
    with pytest.raises(ValidationError, match="not 42 bytes"):
        read_public("RWQnonsense")


def test_a_comment_is_one_line(secret: SecretKey) -> None:
    with pytest.raises(ValidationError, match="one line"):
        secret.minisign(DATA, "one\ntrusted comment: two")


def test_the_frame_is_that_of_the_specification() -> None:
    """DSSE v1, protocol.md, test vectors: PAE("http://example.com/HelloWorld", "hello world")."""
    assert statement.framed("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_s31_an_envelope_holds_or_is_refused(secret: SecretKey) -> None:
    made = seal_envelope(secret, "entry.json", digest_bytes(DATA), "urn:test", {"meaning": "author"})
    told = open_envelope(made, secret.public)
    assert told["subject"] == [{"name": "entry.json", "digest": {"sha256": digest_bytes(DATA)}}]
    assert told["predicate"] == {"meaning": "author"} and told["predicateType"] == "urn:test"
    with pytest.raises(ValidationError, match="signed, not"):
        open_envelope(made, make_secret().public)
    for field in ("payload", "payloadType", "signatures"):
        with pytest.raises(ValidationError):
            open_envelope({name: value for name, value in made.items() if name != field}, secret.public)
    for place in range(len(made["payload"])):
        text = made["payload"]
        other = "A" if text[place] != "A" else "B"
        with pytest.raises(ValidationError):
            open_envelope({**made, "payload": text[:place] + other + text[place + 1 :]}, secret.public)
    with pytest.raises(ValidationError, match="no DSSE envelope"):
        open_envelope({**made, "extra": 1}, secret.public)
