"""What a login, a name and a mail address may look like; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

from physlab.errors import ValidationError

LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,62}")
MAIL = re.compile(r"[^\s@<>\"'(),:;\\\[\]]{1,64}@[^\s@<>\"'(),:;\\\[\]/]{1,189}")
RESERVED = re.compile(r"lab|link|guest|[0-9a-f]{32}|erased-.*")
NAME = 200
"""A name has so many letters at most."""


def login_of(text: str) -> str:
    """Return a login as it is kept: small letters."""
    return text.strip().lower()


def name_of(text: str) -> str:
    """Return a name as it is kept: composed letters, single blanks."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def mail_of(text: str | None) -> str | None:
    """Return a mail address as it is kept and compared, None for an empty one."""
    plain = unicodedata.normalize("NFC", text or "").strip().lower()
    return plain or None


def free_login(words: str, taken: Container[str]) -> str:
    """Return a login that nobody has, made from the beginning of a mail address or from a name."""
    plain = unicodedata.normalize("NFKD", words.lower().replace("ß", "ss")).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^a-z0-9._-]+", ".", plain).strip("._-")[:55].lstrip("0123456789._-")
    if len(stem) < 2 or RESERVED.fullmatch(stem):
        stem = f"person.{stem}".rstrip(".")
    number, login = 1, stem
    while login in taken:
        number += 1
        login = f"{stem}{number}"
    return login


def machine_login(login: str) -> str:
    """Return the login of the account that somebody gets who works at the machine under a login of its own."""
    plain = re.sub(r"[^a-z0-9._-]", "-", login.lower())[:50]
    return f"local-{plain}" if problems(plain, login, None) else plain


def problems(login: str, name: str, mail: str | None) -> list[str]:
    """Return everything that is wrong with a newcomer."""
    found = []
    if not LOGIN.fullmatch(login_of(login)) or RESERVED.fullmatch(login_of(login)):
        found.append(f"{login!r} cannot be a login: 2 to 63 of a-z, 0-9, '.', '_', '-', a letter first")
    shown = name_of(name)
    if not shown or len(shown) > NAME or any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in shown):
        found.append(f"{name!r} cannot be a name: 1 to {NAME} printable letters")
    kept = mail_of(mail)
    if kept is not None and not (MAIL.fullmatch(kept) and "." in kept.partition("@")[2].strip(".")):
        found.append(f"{mail!r} cannot be a mail address")
    return found


def check(login: str, name: str, mail: str | None) -> None:
    """Refuse what cannot be an account.

    Raises:
        ValidationError: With everything that is wrong.
    """
    if found := problems(login, name, mail):
        raise ValidationError(
            f"No account can be made: {'; '.join(found)}.",
            hint="Such as: physlab people add anna --name 'Anna Noether' --mail anna@example.org",
        )
