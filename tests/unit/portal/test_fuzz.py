"""Requests that are made up from the API's own description, and ones that are not: no fault, no undescribed answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)  # fmt: skip

from physlab.portal.app import API
from tests.unit.portal.stage import ORIGIN, SESSION, Asking, Stage

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
QUIET = settings(
    max_examples=8, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate], database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
LEAVING = {f"{API}/sign-out", f"{API}/password", f"{API}/sessions/{{session}}/close"}


def headers_of(asking: Asking) -> dict[str, str]:
    cookies = "; ".join(f"{name}={value}" for name, value in asking.http.cookies.items())
    given = {"origin": ORIGIN, "x-csrf-token": asking.csrf, "cookie": cookies}
    token = asking.http.headers.get("authorization")
    return {name: value for name, value in (given | ({"authorization": token} if token else {})).items() if value}


def fuzz(operation: Any, headers: dict[str, str]) -> int:
    """Ask an operation what fits its description and what does not; return how often."""
    asked = 0

    @QUIET
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        response = case.call(headers=headers, base_url=ORIGIN)
        case.validate_response(response, checks=CHECKS)

    ask()
    return asked


@pytest.mark.parametrize("persona", ["owner", "administrator", "program", "stranger"])
def test_every_operation_answers_as_it_is_described(stage: Stage, persona: str) -> None:
    schema = schemathesis.openapi.from_asgi(f"{API}/openapi.json", stage.app)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in LEAVING and persona != "stranger":
            continue  # what would end the test's own visit
        if persona == "stranger":
            asking = stage.stranger()
        else:
            asking = stage.program("editor", reads_only=False) if persona == "program" else stage.signed_in(persona)
        asked += fuzz(operation, headers_of(asking))
    assert asked > 300


NAMES = st.text(max_size=80) | st.sampled_from(
    [SESSION, "..", "../..", "%00", "\x00", "\ud800", "'", "a" * 5000, "*", "%", "lab\n", "{session}", "null", "-1"]
)


@settings(QUIET, max_examples=150)
@given(names=st.lists(NAMES, min_size=1, max_size=4), method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]))
def test_no_path_is_a_fault(stage: Stage, names: list[str], method: str) -> None:
    from urllib.parse import quote

    owner = stage.signed_in("owner")
    path = "/".join(quote(name.encode("utf-8", "surrogatepass"), safe="") for name in names)
    for base in (f"{API}/sessions/{SESSION}", f"{API}/sessions", f"{API}/links", f"{API}/people"):
        answer = owner(method, f"{base}/{path}", {} if method in ("POST", "PUT") else None)
        assert answer.status_code < 500, (method, base, path, answer.text)


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4), max_leaves=12,
)  # fmt: skip


@settings(QUIET, max_examples=100)
@given(body=BODIES, raw=st.binary(max_size=60))
def test_no_body_is_a_fault(stage: Stage, body: Any, raw: bytes) -> None:
    owner = stage.signed_in("owner")
    for path in (f"sessions/{SESSION}/share", f"sessions/{SESSION}/notebook", "links/join", "tokens", "prove"):
        for content in (json.dumps(body).encode(), raw):
            answer = owner("POST", path, content, headers={"content-type": "application/json"})
            assert answer.status_code < 500, (path, content, answer.text)
