"""Secrets in what is written down for good or sent to others: keys, tokens and passwords, known by their form.

The forms are those that their makers document so that they can be found (GitHub, "About secret scanning"; RFC 7468 for
PEM, RFC 7519 for JWT, RFC 3986 §3.2.1 for passwords in addresses); a password that looks like a word is not found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from physlab.errors import ValidationError

READ = 1_000_000
"""Of a file, so much is looked at [bytes]."""
_FORMS = {
    "a private key": rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a secret key of age": rb"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b",
    "a secret key of minisign": rb"\bminisign (?:encrypted )?secret key\b[^\n]*\n[A-Za-z0-9+/=]{40}",
    "a token of a lab": rb"\bpl[tl]_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])",
    "a key of Prefect": rb"\bpn[ub]_[A-Za-z0-9]{36}\b",
    "a token of GitHub": rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
    "a token of GitLab": rb"\bglpat-[A-Za-z0-9_-]{20,}",
    "a key of AWS": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a key of Google": rb"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "a token of Slack": rb"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "a key of a language model": rb"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{32,}",
    "a key of Stripe": rb"\b[rs]k_live_[A-Za-z0-9]{16,}",
    "a token of Hugging Face": rb"\bhf_[A-Za-z0-9]{30,}\b",
    "a token of PyPI": rb"\bpypi-AgE[A-Za-z0-9_-]{50,}",
    "a token of npm": rb"\bnpm_[A-Za-z0-9]{36}\b",
    "a JSON web token": rb"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}",
    "a password in an address": (
        rb"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{1,64}:"
        rb"(?!(?i:pass|password|passwd|secret|token|pw|x+|\*+|\.+|\xe2\x80\xa6)@|[<{$%])[^\s/@\"'<>]{3,128}@[\w\[]"
    ),
}
_KINDS = tuple(_FORMS)
_ANY = re.compile(b"|".join(b"(" + form + b")" for form in _FORMS.values()))


def find_spill(data: bytes) -> tuple[str, int] | None:
    """Return what the first secret in some bytes is, and in which line it stands, from 1; None where none is found."""
    found = _ANY.search(data)
    if found is None or found.lastindex is None:
        return None
    return _KINDS[found.lastindex - 1], data.count(b"\n", 0, found.start()) + 1


def spill_of(path: Path) -> str | None:
    """Return why a file should go nowhere, as words; None where nothing is found in its beginning.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        found = find_spill(stream.read(READ))
    return None if found is None else f"line {found[1]} holds {found[0]}"


def refuse_spills(texts: Mapping[str, str], files: Mapping[str, Path] | None = None) -> None:
    """Refuse what would be kept for good and holds a secret; the secret itself is not repeated.

    Args:
        texts: What is written, by what it is called.
        files: Files that come along, by their names.

    Raises:
        ValidationError: Something holds one.
    """
    said = []
    for name, text in texts.items():
        found = find_spill(text.encode(errors="replace"))
        if found is not None:
            said.append(f"{name}: line {found[1]} holds {found[0]}")
    for name, path in (files or {}).items():
        why = spill_of(path)
        if why is not None:
            said.append(f"{name}: {why}")
    if said:
        raise ValidationError(
            f"This cannot be taken back once it is written. {'; '.join(said)}.",
            hint="Cut it out, and make a new one where it was made; nothing was written.",
        )
