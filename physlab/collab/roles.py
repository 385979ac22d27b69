"""Who may do what in a session: all of it in one table.

The same table stands in Cedar's language in tests/unit/collab/roles.cedar; both agree on a hundred thousand requests.
"""

from __future__ import annotations

from types import MappingProxyType

from physlab.errors import ValidationError, nearest

ROLES = ("viewer", "commenter", "editor", "admin", "owner")
"""From the least to the most."""

_MATRIX = """
action              viewer commenter editor admin owner
session.see            x       x        x     x     x
session.leave          x       x        x     x     x
run.see                x       x        x     x     x
artifact.read          x       x        x     x     x
notebook.read          x       x        x     x     x
bundle.fetch           x       x        x     x     x
notebook.comment       .       x        x     x     x
notebook.write         .       .        x     x     x
notebook.sign          .       .        x     x     x
version.add            .       .        x     x     x
link.make              .       .        x     x     x
member.see             .       .        x     x     x
link.see               .       .        .     x     x
link.revoke            .       .        .     x     x
member.change          .       .        .     x     x
audit.read             .       .        .     x     x
session.transfer       .       .        .     .     x
session.close          .       .        .     .     x
"""

READS = frozenset({
    "session.see", "run.see", "artifact.read", "notebook.read", "bundle.fetch", "member.see", "link.see", "audit.read",
})  # fmt: skip
"""What changes nothing: all that a token may do that only reads."""
PROVEN = frozenset({
    "notebook.sign", "link.revoke", "member.change", "session.transfer", "session.close",
})  # fmt: skip
"""What needs a second factor that was shown a moment ago; `link.make` needs it too, of an admin or owner."""
FOR_GUESTS = frozenset({
    "session.see", "run.see", "artifact.read", "notebook.read", "bundle.fetch", "notebook.comment",
})  # fmt: skip
"""What whoever opened a link may do without saying who they are, as far as the link's role goes."""

_WORDS = {
    "read": "viewer", "view": "viewer", "reader": "viewer", "comment": "commenter", "write": "editor",
    "read_write": "editor", "readwrite": "editor", "rw": "editor", "edit": "editor", "writer": "editor",
}  # fmt: skip


def _read() -> dict[str, frozenset[str]]:
    head, *rows = [line.split() for line in _MATRIX.strip().splitlines()]
    if tuple(head[1:]) != ROLES:
        raise AssertionError("the columns of the matrix are the roles")
    return {
        action: frozenset(role for role, mark in zip(ROLES, marks, strict=True) if mark == "x")
        for action, *marks in rows
    }


MATRIX = MappingProxyType(_read())
"""Action → the roles that may do it."""
ACTIONS = tuple(MATRIX)


def may(role: str, action: str) -> bool:
    """Say whether a role allows an action."""
    return role in MATRIX[action]


def lesser(one: str, other: str) -> str:
    """Return the lesser of two roles."""
    return min(one, other, key=ROLES.index)


def least(action: str) -> str:
    """Return the least role that allows an action."""
    return next(role for role in ROLES if role in MATRIX[action])


def read_role(word: str) -> str:
    """Return the role that a word means: its name, or `read`, `write`, `read_write`.

    Raises:
        ValidationError: It means none.
    """
    role = word.strip().lower().replace("-", "_")
    role = _WORDS.get(role, role)
    if role not in ROLES:
        raise ValidationError(
            f"'{word}' is no role.",
            hint=f"{nearest(role, ROLES)} Also: read, write, read_write.",
        )
    return role
