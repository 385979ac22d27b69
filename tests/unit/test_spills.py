"""S36: secrets are found by their form before they are kept for good or sent away, and are not repeated."""

from __future__ import annotations

import base64
import os
import random
from pathlib import Path

import pytest

from physlab.errors import ValidationError
from physlab.spills import READ, find_spill, refuse_spills, spill_of

_RANDOM = random.Random(36)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def some(count: int, signs: str = LETTERS) -> str:
    return "".join(_RANDOM.choice(signs) for _ in range(count))


UPPER = LETTERS[:26] + LETTERS[-10:]
PLANTED = {  # put together here, so that nobody who scans this file finds one
    "a private key": [f"-----BEGIN {kind}PRIVATE KEY-----" for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ")],
    "a secret key of age": ["AGE-SECRET-" + "KEY-1" + some(58, UPPER)],
    "a secret key of minisign": ["untrusted comment: minisign encrypted secret key\n" + some(212)],
    "a token of a lab": ["plt" + "_" + some(43), "http://127.0.0.1:8460/#/join/pll" + "_" + some(43)],
    "a key of Prefect": ["pnu" + "_" + some(36), "pnb" + "_" + some(36)],
    "a token of GitHub": [f"gh{kind}_" + some(36) for kind in "posu"] + ["github" + "_pat_" + some(82)],
    "a token of GitLab": ["glpat" + "-" + some(20)],
    "a key of AWS": ["AKIA" + some(16, UPPER), "aws_access_key_id=ASIA" + some(16, UPPER)],
    "a key of Google": ["AIza" + some(35)],
    "a token of Slack": ["xoxb" + "-1234567890-" + some(24)],
    "a key of a language model": ["sk" + "-ant-" + some(90), "sk" + "-" + some(48)],
    "a key of Stripe": ["sk" + "_live_" + some(24)],
    "a token of Hugging Face": ["hf" + "_" + some(34)],
    "a token of PyPI": ["pypi" + "-AgEIcHlwaS5vcmc" + some(60)],
    "a token of npm": ["npm" + "_" + some(36)],
    "a JSON web token": ["eyJ" + some(20) + ".eyJ" + some(40) + "." + some(43)],
    "a password in an address": [
        f"postgresql+psycopg://lab:{some(12)}@db.uni.edu/lab",
        f"https://me:{some(9)}@git.x.org",
    ],
}
HARMLESS = [
    "sha256:" + "0f" * 32, base64.b64encode(bytes(_RANDOM.randrange(256) for _ in range(5000))).decode(),
    "postgresql+psycopg://user:password@host/lab", "https://user:<password>@host", "https://lab:$TOKEN@host/x",
    "http://localhost:8460/#/join/pll_…", "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "AKIA is a word",
    "age1" + some(58, UPPER.lower()), "RWQ" + some(53), "$E = mc^2$ at 12:30@CERN", "mailto:ada@uni.edu", "eyJ.eyJ.x",
    "sk-learn and task-force-1", "ghp_short", "arxiv:2401.01234v2", "x://a:b@", "git@github.com:ada/orbits.git",
    "https://example.org:8080/@ada", "npm_config_cache", "glpat-", "hf_hub_download", "AIza", "s3://bucket/key@2",
]  # fmt: skip


def test_s36_thirty_planted_secrets_are_found() -> None:
    count = 0
    for kind, secrets in PLANTED.items():
        for secret in secrets:
            for text in (secret, f"first line\nkey = '{secret}'\nlast", f'{{"token":"{secret}"}}', f"({secret})"):
                found = find_spill(text.encode())
                assert found is not None and found[0] == kind, (kind, text)
            assert find_spill(f"1\n2\n{secret}".encode()) in ((kind, 3), (kind, 4)), kind
            count += 1
    assert count >= 30


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert find_spill(text.encode()) is None


def test_bytes_by_chance_are_no_secret() -> None:
    assert find_spill(os.urandom(4_000_000)) is None


def test_s36_it_says_where_and_does_not_repeat_it(tmp_path: Path) -> None:
    secret = PLANTED["a token of GitHub"][0]
    (tmp_path / "run.sh").write_text(f"#!/bin/sh\nexport GH={secret}\n")
    with pytest.raises(ValidationError) as caught:
        refuse_spills({"title": "Fine", "content": f"x\n\n{secret}"}, {"run.sh": tmp_path / "run.sh"})
    assert "content: line 3 holds a token of GitHub; run.sh: line 2 holds a token of GitHub" in caught.value.message
    assert secret not in str(caught.value.as_reply())
    refuse_spills({"title": "Fine"}, {})
    (tmp_path / "large").write_bytes(bytes(READ) + secret.encode())
    assert spill_of(tmp_path / "large") is None, "only its beginning is looked at"
