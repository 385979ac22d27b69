"""A language model behind an OpenAI-compatible interface: one question, one answer, and every way it can fail.

Nothing is asked unless `[endpoint] base_url` (or `LM_BASE_URL`) is set. What a model says is text; who calls this
labels it as such.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from physlab.errors import ConfigurationError, ResourceError
from physlab.settings.model import EndpointSettings

LONGEST = 1 << 20  # bytes of an answer that are read
SHOWN = 200


class Answer(NamedTuple):
    """What a model said.

    Attributes:
        text: Its words.
        model: The model as the endpoint names it.
        tokens: Tokens of question and answer as the endpoint counts them; None when it does not say.
    """

    text: str
    model: str
    tokens: int | None


def ask_model(
    settings: EndpointSettings, question: str, *, system: str = "", model: str | None = None, json: bool = False
) -> Answer:
    """Ask the configured model one question.

    Args:
        settings: `[endpoint]`.
        question: What the user says.
        system: What the model is told before.
        model: Instead of the configured one.
        json: True asks for a JSON object.

    Raises:
        ConfigurationError: No endpoint is configured, or it refuses the key, the address or the model.
        ResourceError: It does not answer in time, cannot be reached, breaks, or answers what is no answer.
    """
    import httpx

    if settings.base_url is None:
        raise ConfigurationError(
            "No language model is configured.", hint="Set endpoint.base_url in physlab.toml, or LM_BASE_URL."
        )
    asked = model or settings.model
    told = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": question}]
    body: dict[str, Any] = {"model": asked, "messages": told, "temperature": 0}
    if json:
        body["response_format"] = {"type": "json_object"}
    headers = {}
    if settings.api_key is not None:
        headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
    where = f"The model endpoint {settings.base_url}"
    try:
        with httpx.Client(timeout=settings.timeout_s, trust_env=False) as client:
            reply = client.post(f"{settings.base_url}/chat/completions", json=body, headers=headers)
    except httpx.TimeoutException as error:
        raise ResourceError(
            f"{where} did not answer within {settings.timeout_s:g} s.",
            hint="Raise endpoint.timeout_s, or unset base_url.",
        ) from error
    except httpx.HTTPError as error:
        raise ResourceError(f"{where} cannot be reached: {error}.", hint="Is it running? Check base_url.") from error
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{where} is no address: {error}.", hint="Mend endpoint.base_url.") from error
    return _read(reply, where, asked, settings)


def _read(reply: Any, where: str, asked: str, settings: EndpointSettings) -> Answer:
    status, said = reply.status_code, _start(_hidden(reply.text, settings))
    if status >= 500 or status in (408, 425, 429):
        raise ResourceError(f"{where} answered {status}: {said}.", hint="Try again later.")
    if not 200 <= status < 300:
        raise ConfigurationError(
            f"{where} answered {status}: {said}.", hint="Check endpoint.base_url, api_key and model."
        )
    try:
        if len(reply.content) > LONGEST:
            raise ValueError(f"it has {len(reply.content)} bytes")
        answer = reply.json()
        text = answer["choices"][0]["message"]["content"]
        if not isinstance(text, str) or not text.strip():
            raise ValueError("it is empty")
    except (ValueError, LookupError, TypeError) as error:
        raise ResourceError(
            f"{where} gave no usable answer ({type(error).__name__}: {error}): {said}.",
            hint="Is it an OpenAI-compatible endpoint? base_url ends in /v1 for most.",
        ) from error
    usage = answer.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    named = answer.get("model")
    return Answer(
        text.strip(),
        named if isinstance(named, str) else asked,
        tokens if isinstance(tokens, int) and not isinstance(tokens, bool) else None,
    )


def _hidden(text: str, settings: EndpointSettings) -> str:
    """Return what an endpoint said without the key, should it repeat it: errors are kept in the records of runs."""
    return text if settings.api_key is None else text.replace(settings.api_key.get_secret_value() or "\0", "***")


def _start(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN else plain[:SHOWN] + "…"
