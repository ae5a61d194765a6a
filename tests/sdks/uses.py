"""Everything that people do with each SDK, one entry per endpoint and way of using it.

An entry is code that an application would have, unchanged; the tests run every entry and ask the same
of each. `covers` names the row and column of `docs/reference/coverage.md` that an entry stands for.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import _interactions_errors as interaction_errors
from google.genai import errors as google_errors
from google.genai import types

from tests.sdks.wire import Wire

CHAT, EMBEDDING, IMAGE = "atlas-1", "quill-embed-1", "easel-1"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
SAID = "Hej, Sverige! \U0001f44b"
"""What the models answer: words, spaces, and characters of one to four bytes."""
PROMPT = f"[[say:{SAID}]] Grüße, 你好, \u2028 and a tab\t."


@dataclass(frozen=True, slots=True)
class Clients:
    """Every SDK, aimed at the proxy with one key, over one observed wire."""

    openai: openai.OpenAI
    anthropic: anthropic.Anthropic
    google: genai.Client
    plain: httpx2.Client
    wire: Wire


def clients(url: str, key: str) -> Clients:
    """The SDKs as their documentation sets them up: a base URL and a key, and nothing else."""
    wire = Wire()
    http = wire.client()
    options = types.HttpOptions(base_url=url, httpx_client=http)
    return Clients(
        openai.OpenAI(base_url=f"{url}/v1", api_key=key, http_client=http),
        anthropic.Anthropic(base_url=url, api_key=key, http_client=http),
        genai.Client(api_key=key, http_options=options),
        httpx2.Client(transport=http._transport, base_url=url, headers={"Authorization": f"Bearer {key}"}),
        wire,
    )


@dataclass(frozen=True, slots=True)
class Use:
    """One way of using one endpoint. `ask` takes a model of `model`'s pool and gives what the SDK gives.

    `said` picks out of that the words of the answer; `upstream` is where the gateway has to see it.
    """

    endpoint: str
    mode: str
    ask: Callable[[Clients, str], Any]
    said: Callable[[Any], str]
    upstream: str
    model: str = CHAT
    error: type[Exception] = openai.PermissionDeniedError
    read: Callable[[Any], Refused] = lambda error: from_openai(error)

    @property
    def allowed(self) -> str:
        """A route that the policy of project `open` lets pass."""
        return f"example-us/{self.model}"

    @property
    def forbidden(self) -> str:
        """The same model where it is trained on."""
        return f"example-open/{self.model}"

    @property
    def dialect(self) -> str:
        """The SDK family."""
        return self.endpoint.partition(" ")[0]

    def param(self) -> Any:
        """The entry for parametrised tests."""
        return pytest.param(self, id=f"{self.endpoint} {self.mode}".replace(" ", "-"))


@dataclass(frozen=True, slots=True)
class Refused:
    """What a program can find out about a refusal from the SDK's own exception."""

    status: int
    code: str
    message: str
    decision_id: str
    routes: tuple[str, ...]


# -- what each SDK's error says by program ---------------------------------------------------------


def from_openai(error: Any) -> Refused:
    """`openai.APIStatusError`."""
    body = error.body
    return Refused(
        error.status_code, error.code, body["message"], body["decision_id"], tuple(body["compliant_routes"])
    )


def from_anthropic(error: Any) -> Refused:
    """`anthropic.APIStatusError`."""
    body = error.body["error"]
    details = body["details"]
    assert error.error_code == details["error_code"]
    routes = tuple(details["compliant_routes"])
    return Refused(error.status_code, error.error_code, body["message"], details["decision_id"], routes)


def from_google(error: Any) -> Refused:
    """`google.genai.errors.APIError`."""
    assert error.message == error.details["error"]["message"]
    return _from_error_details(error.code, error.details)


def from_interactions(error: Any) -> Refused:
    """The errors of `client.interactions`."""
    return _from_error_details(error.status_code, error.body)


def _from_error_details(status: int, body: Any) -> Refused:
    about = body["error"]["details"][0]
    assert about["domain"] == "ringfence"
    found = about["metadata"]
    assert about["reason"] == found["code"].upper()
    routes = tuple(found["compliant_routes"].split(","))
    return Refused(status, found["code"], body["error"]["message"], found["decision_id"], routes)


class Direct(Exception):
    """An answer that is no success, to a client that is no SDK."""

    def __init__(self, reply: httpx2.Response) -> None:
        super().__init__(reply.text)
        self.reply = reply


def from_direct(error: Any) -> Refused:
    """A refusal as JSON, in the shape of whichever family has the path."""
    reply = error.reply
    body = reply.json()["error"]
    details = body.get("details", body)
    if isinstance(details, list):
        return _from_error_details(reply.status_code, reply.json())
    routes = tuple(details["compliant_routes"])
    return Refused(reply.status_code, body["code"], body["message"], details["decision_id"], routes)


# -- the uses --------------------------------------------------------------------------------------


def user(text: str = PROMPT) -> Any:
    """One user message as OpenAI and Anthropic write it."""
    return [{"role": "user", "content": text}]


def _chat(c: Clients, model: str) -> Any:
    return c.openai.chat.completions.create(model=model, messages=user())


def _chat_stream(c: Clients, model: str) -> Any:
    more = {"include_usage": True}
    return list(
        c.openai.chat.completions.create(model=model, messages=user(), stream=True, stream_options=more)  # type: ignore[call-overload]
    )


def _responses(c: Clients, model: str) -> Any:
    return c.openai.responses.create(model=model, input=PROMPT)


def _responses_stream(c: Clients, model: str) -> Any:
    return list(c.openai.responses.create(model=model, input=PROMPT, stream=True))


def _edit(c: Clients, model: str) -> Any:
    return c.openai.images.edit(model=model, prompt=PROMPT, image=("holiday.png", PNG, "image/png"))


def _edit_as_json(c: Clients, model: str) -> Any:
    """The form that the API documents beside multipart, and that the SDK does not write."""
    picture = "data:image/png;base64," + base64.b64encode(PNG).decode()
    body = {"model": model, "prompt": PROMPT, "images": [{"image_url": picture}]}
    return _json(c.plain.post("/v1/images/edits", json=body))


def _messages(c: Clients, model: str) -> Any:
    return c.anthropic.messages.create(model=model, max_tokens=64, messages=user())


def _messages_stream(c: Clients, model: str) -> Any:
    with c.anthropic.messages.stream(model=model, max_tokens=64, messages=user()) as stream:
        return "".join(stream.text_stream)


def _count_tokens(c: Clients, model: str) -> Any:
    """Opper has no such endpoint today: its 404 comes back as the SDK's own error."""
    try:
        return c.anthropic.messages.count_tokens(model=model, messages=user())
    except anthropic.NotFoundError as relayed:
        return relayed


def _generate_stream(c: Clients, model: str) -> Any:
    return list(c.google.models.generate_content_stream(model=model, contents=PROMPT))


def _embed_one(c: Clients, model: str) -> Any:
    """The single form, which no current SDK method uses, as curl would send it."""
    reply = c.plain.post(
        f"/v1beta/models/{model}:embedContent", json={"content": {"parts": [{"text": PROMPT}]}}
    )
    return _json(reply)


def _native_image(c: Clients, model: str) -> Any:
    return _json(c.plain.post("/v3/images", json={"model": model, "prompt": PROMPT, "store": False}))


def _json(reply: httpx2.Response) -> Any:
    if reply.status_code != 200:
        raise Direct(reply)
    return reply.json()


def _interaction_stream(c: Clients, model: str) -> Any:
    return list(c.google.interactions.create(model=model, input=PROMPT, stream=True))


def _interaction_text(events: Any) -> str:
    deltas = (getattr(each, "delta", None) for each in events)
    return "".join(getattr(delta, "text", None) or "" for delta in deltas)


def _response_text(events: Any) -> str:
    assert events[-1].type == "response.completed"
    return "".join(each.delta for each in events if each.type == "response.output_text.delta")


def _chunk_text(chunks: Any) -> str:
    assert chunks[-1].usage.completion_tokens > 0
    return "".join(choice.delta.content or "" for each in chunks for choice in each.choices)


def _openai() -> Iterator[Use]:
    compat, pictures = "/v3/compat", "/v3/images"
    yield Use(
        "openai chat.completions", "plain", _chat,
        lambda got: got.choices[0].message.content, f"{compat}/chat/completions",
    )  # fmt: skip
    yield Use("openai chat.completions", "stream", _chat_stream, _chunk_text, f"{compat}/chat/completions")
    yield Use("openai responses", "plain", _responses, lambda got: got.output_text, f"{compat}/responses")
    yield Use("openai responses", "stream", _responses_stream, _response_text, f"{compat}/responses")
    yield Use(
        "openai embeddings", "plain",
        lambda c, model: c.openai.embeddings.create(model=model, input=[PROMPT, "second"]),
        lambda got: SAID if len(got.data) == 2 and got.data[0].embedding else "",
        f"{compat}/embeddings", EMBEDDING,
    )  # fmt: skip
    yield Use(
        "openai images.generate", "plain",
        lambda c, model: c.openai.images.generate(model=model, prompt=PROMPT, n=1, size="1024x1024"),
        _picture, pictures, IMAGE,
    )  # fmt: skip
    yield Use("openai images.edit", "multipart", _edit, _picture, pictures, IMAGE)
    yield Use(
        "openai images.edit", "plain", _edit_as_json,
        lambda got: SAID if got["data"][0]["b64_json"] else "", pictures, IMAGE, Direct, from_direct,
    )  # fmt: skip


def _picture(got: Any) -> str:
    return SAID if got.data[0].b64_json else ""


def _anthropic() -> Iterator[Use]:
    error, path = anthropic.PermissionDeniedError, "/v3/compat/v1/messages"
    yield Use(
        "anthropic messages", "plain", _messages,
        lambda got: got.content[0].text, path, error=error, read=from_anthropic,
    )  # fmt: skip
    yield Use(
        "anthropic messages", "stream", _messages_stream,
        str, path, error=error, read=from_anthropic,
    )  # fmt: skip
    yield Use(
        "anthropic messages.count_tokens", "plain", _count_tokens,
        lambda relayed: SAID if relayed.status_code == 404 else "",
        f"{path}/count_tokens", error=error, read=from_anthropic,
    )  # fmt: skip


def _google() -> Iterator[Use]:
    error, base = google_errors.ClientError, "/v3/compat/v1beta/models/example-us/"
    yield Use(
        "google generateContent", "plain",
        lambda c, model: c.google.models.generate_content(model=model, contents=PROMPT),
        lambda got: got.text, f"{base}{CHAT}:generateContent", error=error, read=from_google,
    )  # fmt: skip
    yield Use(
        "google streamGenerateContent", "stream", _generate_stream,
        lambda got: "".join(each.text or "" for each in got),
        f"{base}{CHAT}:streamGenerateContent?alt=sse", error=error, read=from_google,
    )  # fmt: skip
    yield Use(
        "google batchEmbedContents", "plain",
        lambda c, model: c.google.models.embed_content(model=model, contents=[PROMPT, "second"]),
        lambda got: SAID if len(got.embeddings) == 2 and got.embeddings[0].values else "",
        f"{base}{EMBEDDING}:batchEmbedContents", EMBEDDING, error, from_google,
    )  # fmt: skip
    yield Use(
        "google embedContent", "plain", _embed_one,
        lambda got: SAID if got["embedding"]["values"] else "",
        f"{base}{EMBEDDING}:embedContent", EMBEDDING, Direct, from_direct,
    )  # fmt: skip
    inter, error_too = "/v3/compat/v1beta/interactions", interaction_errors.PermissionDeniedError
    yield Use(
        "google interactions", "plain",
        lambda c, model: c.google.interactions.create(model=model, input=PROMPT),
        lambda got: got.output_text, inter, error=error_too, read=from_interactions,
    )  # fmt: skip
    yield Use(
        "google interactions", "stream", _interaction_stream, _interaction_text,
        inter, error=error_too, read=from_interactions,
    )  # fmt: skip


def _opper() -> Iterator[Use]:
    yield Use(
        "opper images.create", "plain", _native_image,
        lambda got: SAID if got["data"] else "", "/v3/images", IMAGE, Direct, from_direct,
    )  # fmt: skip


USES = (*_openai(), *_anthropic(), *_google(), *_opper())
STREAMS = tuple(use for use in USES if use.mode == "stream")
