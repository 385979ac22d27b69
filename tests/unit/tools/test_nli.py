"""`nli_parse` with a language model behind it: the model's words are read by the rules, and labelled."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.tools.test_endpoint import Server, server  # noqa: F401 — a fixture


@pytest.fixture
def model(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:  # noqa: F811
    monkeypatch.setenv("LM_BASE_URL", server.settings.base_url or "")
    return server


def words(**said: str) -> str:
    return json.dumps({"words": said})


def test_other_words_are_read_by_the_rules_and_labelled(ask: Callable[..., Any], model: Server) -> None:
    part = "tell me how steep x^3 is"
    model.say(words(**{part: "differentiate x^3"}), model="small")
    answer = ask("nli_parse", text=f"{part}; then  plot it from 0 to 1")
    assert [node["tool"] for node in answer["dag"]["nodes"]] == ["cas", "plot"]
    assert answer["not_understood"] == [] and answer["reworded"] == [{"text": part, "words": "differentiate x^3"}]
    assert "words of the model small" in answer.context.warnings[0]
    _, _, asked = model.asked[0]
    assert json.loads(asked["messages"][-1]["content"])["parts"][0] == part


@pytest.mark.parametrize("said", [
    "no JSON", "[]", words(), words(**{"make me a sandwich": "bake bread"}), words(**{"make me a sandwich": ""}),
    json.dumps({"words": ["differentiate x"]}),
])  # fmt: skip
def test_words_that_help_nothing_change_nothing(ask: Callable[..., Any], model: Server, said: str) -> None:
    model.say(said)
    answer = ask("nli_parse", text="make me a sandwich")
    assert answer["intent"] == "unknown" and answer["reworded"] == []
    assert answer["not_understood"][0]["text"] == "make me a sandwich"


def test_what_is_understood_is_not_asked(ask: Callable[..., Any], model: Server) -> None:
    assert ask("nli_parse", text="differentiate x^2")["intent"] == "cas"
    assert model.asked == []


def test_a_model_that_fails_is_a_warning(ask: Callable[..., Any], model: Server) -> None:
    model.status = 500
    answer = ask("nli_parse", text="make me a sandwich")
    assert answer["intent"] == "unknown" and "gave none" in answer.context.warnings[0]


def test_it_can_be_forbidden(ask: Callable[..., Any], model: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLI_DISABLE_LM", "1")
    ask("nli_parse", text="make me a sandwich")
    assert model.asked == []


def test_without_a_model_nothing_is_asked(ask: Callable[..., Any]) -> None:
    assert ask("nli_parse", text="make me a sandwich")["reworded"] == []
