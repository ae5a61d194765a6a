"""What the proxy answers by itself, through each SDK: model lists, single models, and probes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google.genai import errors as google_errors

from proxy.core.dialects.anthropic import DIALECT
from tests.running import Stage
from tests.sdks.uses import CHAT, Clients, clients

MODEL = f"example-us/{CHAT}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """How an SDK asks for models, and its errors: for a key that nobody knows, for what is not there."""

    ids: Callable[[Clients], set[str]]
    one: Callable[[Clients, str], str]
    unknown_key: type[Exception]
    not_found: type[Exception]
    code: Callable[[Any], str]


def _bare(name: Any) -> str:
    return str(name).removeprefix("models/")


SDKS = {
    "openai": Catalogue(
        lambda c: {model.id for model in c.openai.models.list()},
        lambda c, model: c.openai.models.retrieve(model).id,
        openai.AuthenticationError,
        openai.NotFoundError,
        lambda error: str(error.code),
    ),
    "anthropic": Catalogue(
        lambda c: {model.id for model in c.anthropic.models.list()},
        lambda c, model: c.anthropic.models.retrieve(model).id,
        anthropic.AuthenticationError,
        anthropic.NotFoundError,
        lambda error: str(error.error_code),
    ),
    "google": Catalogue(
        lambda c: {_bare(model.name) for model in c.google.models.list()},
        lambda c, model: _bare(c.google.models.get(model=model).name),
        google_errors.ClientError,
        google_errors.ClientError,
        lambda error: str(error.details["error"]["details"][0]["metadata"]["code"]),
    ),
}


def each(operation: str, promise: str) -> pytest.MarkDecorator:
    marked = [
        pytest.param(sdk, id=name, marks=pytest.mark.covers(f"{name} {operation}", "plain", promise))
        for name, sdk in SDKS.items()
    ]
    return pytest.mark.parametrize("sdk", marked)


@each("models.list", "verdict")
def test_the_model_list_shows_what_the_callers_policies_allow(sdk: Catalogue, stage: Stage) -> None:
    shown = {name: sdk.ids(clients(stage.url, stage.keys[name])) for name in ("open", "mission", "alone")}
    assert {"example-us/atlas-1", "example-eu/atlas-1", "example-us/quill-embed-1"} <= shown["open"]
    assert {"example-us/atlas-1", "openai/gpt-image-1"} <= shown["mission"]
    assert not any(model.startswith("example-eu/") for model in shown["mission"])
    assert not any(model.startswith("example-open/") for model in shown["open"] | shown["mission"])
    assert shown["alone"] == set()
    assert stage.seen == ()


@each("models.get", "verdict")
def test_one_model_can_be_looked_up(sdk: Catalogue, stage: Stage) -> None:
    assert sdk.one(clients(stage.url, stage.keys["open"]), MODEL) == MODEL
    assert stage.seen == ()


@each("models.get", "refusal")
def test_a_model_that_may_not_be_used_is_not_found(sdk: Catalogue, stage: Stage) -> None:
    found = clients(stage.url, stage.keys["open"])
    with pytest.raises(sdk.not_found) as raised:
        sdk.one(found, "example-open/atlas-1")
    assert sdk.code(raised.value) == "unknown_model"
    assert (found.wire.last.status, len(found.wire.exchanges)) == (404, 1)
    assert stage.seen == ()


@each("models.list", "refusal")
def test_a_key_that_nobody_knows_sees_no_list(sdk: Catalogue, stage: Stage) -> None:
    found = clients(stage.url, "sk-nobody-Zq3vT8wKx5nR2mB7cL9dF4hJ6")
    with pytest.raises(sdk.unknown_key) as raised:
        sdk.ids(found)
    assert sdk.code(raised.value) == "unknown_key"
    assert (found.wire.last.status, len(found.wire.exchanges)) == (401, 1)


def test_a_list_that_was_shown_is_the_list_that_is_served(stage: Stage) -> None:
    """Every chat route that the list shows answers, so that nobody chooses from it in vain."""
    found = clients(stage.url, stage.keys["mission"])
    chats = {model.id for model in found.openai.models.list() if model.id.startswith("example-us/")}
    chats -= {"example-us/quill-embed-1", "example-us/easel-1", "example-us/gpt-image-1"}
    ask: list[Any] = [{"role": "user", "content": "hi"}]
    refused = {}
    for model in sorted(chats):
        try:
            found.openai.chat.completions.create(model=model, messages=ask)
        except openai.APIStatusError as error:
            refused[model] = error.code
    assert set(refused) <= {"example-us/vault-1"}


PROBES = sorted(
    {(each.method, each.template) for each in DIALECT.endpoints if each.operation == "probe"}
)  # fmt: skip


@pytest.mark.covers("anthropic probe", "plain", "verdict")
@pytest.mark.parametrize(("method", "path"), PROBES)
@pytest.mark.parametrize("keyed", [True, False], ids=["key", "no key"])
def test_a_probe_is_answered_here_with_or_without_a_key(
    method: str, path: str, keyed: bool, stage: Stage
) -> None:
    headers = {"authorization": f"Bearer {stage.keys['open']}"} if keyed else {}
    reply = httpx2.request(method, stage.url + path, headers=headers)
    assert reply.status_code == 200
    assert bool(reply.content) is (method != "HEAD")
    assert stage.seen == ()
