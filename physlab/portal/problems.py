"""What went wrong, as an answer: one form for every error, and none that tells whether something hidden exists."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from physlab.errors import (
    AccessError,
    ConfigurationError,
    PhyslabError,
    ResourceError,
    SignInError,
    StepUpError,
    UnseenError,
    ValidationError,
)  # fmt: skip

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

STATUS: tuple[tuple[type[PhyslabError], int], ...] = (
    (SignInError, 401), (UnseenError, 404), (StepUpError, 403), (AccessError, 403), (ValidationError, 422),
    (ConfigurationError, 503), (ResourceError, 503),
)  # fmt: skip
"""The first kind that an error is of says its status; else 500."""


class Told(BaseModel):
    """What went wrong: a code, words, and what to do next."""

    code: str
    message: str
    hint: str
    details: dict[str, Any]
    kind: str


class Problem(BaseModel):
    """An answer that is an error."""

    error: Told


DESCRIBED: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": words}
    for status, words in (
        (400, "The request is no HTTP that this takes."), (401, "Nobody is signed in, or the proof is wrong."),
        (403, "Who asks may not do that, or has to show a second factor."),
        (404, "It is not there, or who asks may not know that it is."), (405, "There is no such method here."),
        (413, "The body is too large."), (422, "What was sent is wrong."), (429, "Too many requests."),
        (503, "The store, the database or the machine cannot do it now."),
    )
}  # fmt: skip
UNSEEN = UnseenError("There is no such thing, or you may not see it.", hint="Check the address.")
_log = logging.getLogger("physlab.portal")


def status_of(error: PhyslabError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def told(error: PhyslabError) -> dict[str, Any]:
    """Return an error as its answer's JSON."""
    body = error.as_reply() | {"kind": type(error).__name__}
    return {"error": body}


def install(app: FastAPI) -> None:
    """Make an application answer every error in one form."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.responses import JSONResponse

    def known(_: Request, error: Exception) -> Response:
        if not isinstance(error, PhyslabError):
            raise error
        status = status_of(error)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return JSONResponse(told(error), status, headers)

    def malformed(_: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        said = ValidationError(f"{place}: {first['msg']}.", hint="See /api/v1/openapi.json.")
        return JSONResponse(told(said), 422)

    def plain(_: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        said = (
            UNSEEN if error.status_code == 404 else ValidationError(str(error.detail), hint="See /api/v1/openapi.json.")
        )
        return JSONResponse(told(said), error.status_code, dict(error.headers or {}))

    def fault(request: Request, error: Exception) -> Response:
        _log.error("A fault while answering %s %a", request.method, request.url.path, exc_info=error)
        said = PhyslabError("A fault of physlab; its log tells more.", hint="Try again, or tell who keeps this lab.")
        return JSONResponse(told(said), 500)

    handlers: tuple[tuple[type[Exception], Callable[[Request, Exception], Response]], ...] = (
        (PhyslabError, known), (RequestValidationError, malformed), (HTTPException, plain), (Exception, fault),
    )  # fmt: skip
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)
