"""The one tree of errors.

    PhyslabError
    ├── ValidationError      VALIDATION_ERROR     (ValueError)    the request is wrong
    │   └── UnitsError       UNITS_ERROR                          the dimensions do not fit
    ├── ComputationError     COMPUTATION_ERROR    (RuntimeError)  the tool could not compute
    ├── PhysicsError         PHYSICS_ERROR        (ValueError)    the numbers are impossible in nature
    ├── ResourceError        RESOURCE_ERROR       (RuntimeError)  memory, time, disk or a machine ran out
    │   ├── TimeLimitError                        (TimeoutError)
    │   ├── CrowdedError                          as many jobs wait or run as a cluster's policy allows
    │   ├── WorkerLostError                                       the process that ran a node died
    │   └── StoreError                            (OSError)       bytes missing, damaged or not writable
    ├── ConfigurationError   CONFIGURATION_ERROR  (ValueError)    the set-up is wrong
    │   └── MissingExtraError                     (ImportError)   an optional package is not installed
    ├── AccessError          ACCESS_ERROR         (PermissionError) who asks may not do that
    │   ├── SignInError                                           nobody is signed in, or the proof is wrong
    │   ├── StepUpError                                           a second factor has to be shown first
    │   └── UnseenError                                           for who asks it is as if it were not there
    └── CancelledError       RESOURCE_ERROR       (RuntimeError)  somebody stopped the work

Every error says what went wrong with which value (`message`), what would be accepted and what to do next
(`hint`), and carries machine-readable `details`. All of them survive pickling.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class PhyslabError(Exception):
    """Base of every error that physlab raises on purpose.

    Args:
        message: What went wrong, with the offending value.
        hint: What is accepted and what to do next.
        details: JSON values for programs.

    Attributes:
        again: Whether the work is tried again, once somebody has decided that.
    """

    again: bool | None = None
    code: ClassVar[str] = "COMPUTATION_ERROR"

    def __init__(self, message: str, *, hint: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.details)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def as_reply(self) -> dict[str, Any]:
        """Return the error as the wire object `{code, message, hint, details}`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "details": self.details}


def _rebuild(kind: type[PhyslabError], message: str, hint: str, details: dict[str, Any]) -> PhyslabError:
    return kind(message, hint=hint, details=details)


class ValidationError(PhyslabError, ValueError):
    """The request is wrong; nothing was run."""

    code = "VALIDATION_ERROR"


class UnitsError(ValidationError):
    """A unit is unknown or its dimension does not fit."""

    code = "UNITS_ERROR"


class ComputationError(PhyslabError, RuntimeError):
    """A tool could not compute what was asked."""

    code = "COMPUTATION_ERROR"


class PhysicsError(PhyslabError, ValueError):
    """The request contradicts physics (for instance l >= n)."""

    code = "PHYSICS_ERROR"


class ResourceError(PhyslabError, RuntimeError):
    """Memory, time, disk or a machine ran out."""

    code = "RESOURCE_ERROR"


class TimeLimitError(ResourceError, TimeoutError):
    """A node ran longer than it may."""


class CrowdedError(ResourceError):
    """As many jobs wait or run as the policy of a cluster allows; nothing was submitted."""


class WorkerLostError(ResourceError):
    """The process that ran a node died (killed, out of memory, crashed in C code)."""


class StoreError(ResourceError, OSError):
    """Bytes are missing, damaged, or cannot be written."""

    __str__ = PhyslabError.__str__


class ConfigurationError(PhyslabError, ValueError):
    """The set-up is wrong: a setting, a file, a missing program."""

    code = "CONFIGURATION_ERROR"


class MissingExtraError(ConfigurationError, ImportError):
    """An optional package is not installed; the hint prints the install line."""

    __str__ = PhyslabError.__str__


class AccessError(PhyslabError, PermissionError):
    """Who asks may not do that."""

    code = "ACCESS_ERROR"
    __str__ = PhyslabError.__str__


class SignInError(AccessError):
    """Nobody is signed in, or what was shown to sign in is wrong."""


class StepUpError(AccessError):
    """A second factor has to be shown, or shown again, first."""


class UnseenError(AccessError):
    """It is not there, or who asks may not know that it is: the message is the same."""


class CancelledError(ResourceError):
    """Somebody stopped the work."""


ERRORS: dict[str, type[PhyslabError]] = {
    kind.__name__: kind
    for kind in (
        PhyslabError, ValidationError, UnitsError, ComputationError, PhysicsError, ResourceError, TimeLimitError,
        CrowdedError, WorkerLostError, StoreError, ConfigurationError, MissingExtraError, AccessError, SignInError,
        StepUpError, UnseenError, CancelledError,
    )
}  # fmt: skip


def from_reply(reply: Mapping[str, Any]) -> PhyslabError:
    """Return the error that `as_reply` wrote, as the plainest class of its code."""
    kinds = [kind for kind in ERRORS.values() if kind.code == reply["code"] and kind is not PhyslabError]
    kind = kinds[0] if kinds else PhyslabError
    return kind(reply["message"], hint=reply.get("hint", ""), details=reply.get("details"))


SHOWN = 40  # known names in one hint


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant by an unknown one.

    Returns:
        `Did you mean 'x'? Known: a, b, x.` ready to be used as a hint.
    """
    names = sorted(map(str, known))
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    shown = names
    if len(names) > SHOWN:  # those that begin alike, then those that look alike
        alike = difflib.get_close_matches(str(name), names, n=SHOWN, cutoff=0.0)
        begins = [item for item in names if name and item.startswith(str(name))]
        shown = sorted([*begins, *(item for item in alike if item not in begins)][:SHOWN])
    listed = ", ".join(shown) + (", …" if len(names) > SHOWN else "")
    return (f"Did you mean '{close[0]}'? " if close else "") + f"Known: {listed}."
