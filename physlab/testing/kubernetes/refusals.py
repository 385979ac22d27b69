"""What the API server refuses, in its own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from physlab.testing.kubernetes.kinds import Kind
from physlab.testing.kubernetes.objects import Obj


class Refusal(Exception):  # noqa: N818 - what the server answers, no fault of the library
    """A request that is answered with a `Status`.

    Args:
        code: HTTP status.
        reason: The word that programs look at.
        message: The sentence that people read.
        details: What it is about.
        headers: More headers of the reply.
    """

    def __init__(
        self, code: int, reason: str, message: str, details: Obj | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.details, self.headers = details or {}, headers or {}

    def status(self) -> Obj:
        """Return the body of the reply."""
        body: dict[str, Any] = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
            "reason": self.reason, "code": self.code,
        }  # fmt: skip
        if self.details:
            body["details"] = self.details
        return body


def _about(kind: Kind, name: str) -> Obj:
    details = {"name": name, "kind": kind.plural}
    return {**details, "group": kind.group} if kind.group else details


def not_found(kind: Kind, name: str) -> Refusal:
    """No object has this name."""
    return Refusal(404, "NotFound", f'{kind.resource} "{name}" not found', _about(kind, name))


def no_such_path() -> Refusal:
    """The server knows no such resource."""
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def already_exists(kind: Kind, name: str) -> Refusal:
    """The name is taken."""
    return Refusal(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _about(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> Refusal:
    """Somebody else was faster."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return Refusal(409, "Conflict", message, _about(kind, name))


def invalid(kind: Kind, name: str, problems: Sequence[str]) -> Refusal:
    """The object breaks the rules of its kind.

    Args:
        kind: Its kind.
        name: Its name.
        problems: Each as `field: Kind of problem: words`.
    """
    said = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    title = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    causes = []
    for problem in problems:
        field, _, words = problem.partition(": ")
        causes.append({"reason": _cause(words), "message": words, "field": field})
    details = {"name": name, "kind": kind.kind, "causes": causes}
    if kind.group:
        details["group"] = kind.group
    return Refusal(422, "Invalid", f'{title} "{name}" is invalid: {said}', details)


def _cause(words: str) -> str:
    said = words.partition(": ")[0]
    known = {
        "Required value": "FieldValueRequired", "Unsupported value": "FieldValueNotSupported",
        "Forbidden": "FieldValueForbidden", "Duplicate value": "FieldValueDuplicate",
    }  # fmt: skip
    return known.get(said, "FieldValueInvalid")


def forbidden(kind: Kind, name: str, why: str) -> Refusal:
    """Admission said no."""
    named = f' "{name}"' if name else ""
    return Refusal(403, "Forbidden", f"{kind.resource}{named} is forbidden: {why}", _about(kind, name))


def bad_request(message: str) -> Refusal:
    """The request makes no sense."""
    return Refusal(400, "BadRequest", message)


def expired(message: str) -> Refusal:
    """The revision that was asked for is forgotten."""
    return Refusal(410, "Expired", message)


def unauthorized() -> Refusal:
    """Nobody knows the bearer of this token."""
    return Refusal(401, "Unauthorized", "Unauthorized")
