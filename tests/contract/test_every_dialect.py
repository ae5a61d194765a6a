"""What every dialect promises, held against the vendors' own SDKs: they read our answers as their own."""

from __future__ import annotations

import importlib
import pathlib
import pkgutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import anthropic
import google.genai
import openai
import orjson
import pytest
import yaml
from aiohttp import web
from google.genai import errors as google_errors
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import dialects
from proxy.core.dialects import DIALECTS, Dialect, Tables, routing
from proxy.core.effects import compile_effects
from proxy.core.errors import Unreadable
from proxy.core.headers import compile_headers
from proxy.core.member_rows import compile_members
from proxy.core.reasons import REASONS
from proxy.core.values import Match, RawRequest, Refusal, Reply, Route, RouteId

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BY_NAME = {dialect.name: dialect for dialect in DIALECTS}
ROUTE = Route(
    id=RouteId("gemini/gemini-2.5-pro"),
    provider="gemini",
    model="gemini-2.5-pro",
    kind="llm",
    posture={},
    name="Gemini 2.5 Pro",
    context_window=1_000_000,
    max_output=65_536,
)
OTHER = Route(
    id=RouteId("openai/text-embedding-3"), provider="openai", model="e", kind="embedding", posture={}
)
REFUSED = Refusal(
    status=403,
    code="requirement_unmet",
    message="The route openai/gpt-image-1 keeps abuse logs for 30 days.",
    decision_id="dec_1",
    param="model",
    remedies=("Attest zero retention.", "Use another route."),
    alternatives=("gemini/gemini-2.5-pro", "azure-zdr/gpt-5.6"),
)
MESSAGES: Any = [{"role": "user", "content": "hi"}]


class Answering:
    """A server on loopback that gives one reply to everything and counts what it was asked."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.reply = Reply(200, (), b"")
        self.asked: list[str] = []
        self.url = ""

    async def start(self) -> None:
        async def give(request: web.Request) -> web.Response:
            self.asked.append(request.raw_path)
            return web.Response(
                status=self.reply.status, headers=dict(self.reply.headers), body=self.reply.body
            )

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", give)
        started = await self._client(app)
        self.url = str(started.make_url("")).rstrip("/")


@pytest.fixture
async def answering(aiohttp_client: Any) -> Answering:
    server = Answering(aiohttp_client)
    await server.start()
    return server


Ask = Callable[[str], Awaitable[Any]]


async def ask_openai(url: str) -> Any:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1") as client:
        return await client.chat.completions.create(model="m", messages=MESSAGES)


async def ask_openai_stream(url: str) -> Any:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1") as client:
        return await client.responses.create(model="m", input="hi", stream=True)


async def ask_openai_image(url: str) -> Any:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1") as client:
        return await client.images.edit(model="m", prompt="p", image=("a.png", b"x", "image/png"))


async def ask_anthropic(url: str) -> Any:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=url) as client:
        return await client.messages.create(model="m", max_tokens=3, messages=MESSAGES)


async def ask_anthropic_stream(url: str) -> Any:
    client = anthropic.AsyncAnthropic(api_key="k", base_url=url)
    async with client, client.beta.messages.stream(model="m", max_tokens=3, messages=MESSAGES) as stream:
        return await stream.get_final_message()


def google_client(url: str) -> Any:
    return google.genai.Client(api_key="k", http_options={"base_url": url}).aio


async def ask_google(url: str) -> Any:
    return await google_client(url).models.generate_content(model="m", contents="hi")


async def ask_google_stream(url: str) -> Any:
    chunks = await google_client(url).models.generate_content_stream(model="m", contents="hi")
    return [chunk async for chunk in chunks]


async def ask_google_interaction(url: str) -> Any:
    return await google_client(url).interactions.create(model="m", input="hi")


STAINLESS: dict[int, str] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
    502: "InternalServerError",
    503: "InternalServerError",
    504: "InternalServerError",
}


def refusal(status: int) -> Refusal:
    code = next(reason.code for reason in REASONS.values() if reason.status == status)
    return Refusal(status, code, f"Refused with {status}.", decision_id="dec_2")


@pytest.mark.parametrize("ask", [ask_openai, ask_openai_stream, ask_openai_image])
async def test_the_openai_sdk_raises_its_own_error_and_does_not_retry(answering, ask):
    answering.reply = BY_NAME["openai"].refuse(REFUSED)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        await ask(answering.url)
    error = caught.value
    assert (error.code, error.param, error.type) == ("requirement_unmet", "model", "permission_error")
    assert REFUSED.message in str(error)
    assert isinstance(error.body, dict)
    assert error.body["compliant_routes"] == list(REFUSED.alternatives)
    assert error.body["remedies"] == list(REFUSED.remedies)
    assert error.body["decision_id"] == error.response.headers["x-ringfence-decision-id"] == "dec_1"
    assert len(answering.asked) == 1


@pytest.mark.parametrize("ask", [ask_anthropic, ask_anthropic_stream])
async def test_the_anthropic_sdk_raises_its_own_error_and_does_not_retry(answering, ask):
    answering.reply = BY_NAME["anthropic"].refuse(REFUSED)
    with pytest.raises(anthropic.PermissionDeniedError) as caught:
        await ask(answering.url)
    error = caught.value
    assert (error.type, error.error_code, error.api_message) == (
        "permission_error", "requirement_unmet", REFUSED.message,
    )  # fmt: skip
    assert isinstance(error.body, dict)
    assert error.body["error"]["details"]["compliant_routes"] == list(REFUSED.alternatives)
    assert error.response.headers["x-ringfence-refusal"] == "requirement_unmet"
    assert len(answering.asked) == 1


@pytest.mark.parametrize("ask", [ask_google, ask_google_stream])
async def test_the_google_sdk_raises_its_own_error_and_does_not_retry(answering, ask):
    answering.reply = BY_NAME["google"].refuse(REFUSED)
    with pytest.raises(google_errors.ClientError) as caught:
        await ask(answering.url)
    error = caught.value
    assert (error.code, error.status, error.message) == (403, "PERMISSION_DENIED", REFUSED.message)
    detail = error.details["error"]["details"][0]
    assert (detail["reason"], detail["domain"]) == ("REQUIREMENT_UNMET", "ringfence")
    assert detail["metadata"]["decision_id"] == "dec_1"
    assert detail["metadata"]["compliant_routes"].split(",") == list(REFUSED.alternatives)
    assert all(isinstance(value, str) for value in detail["metadata"].values())
    assert len(answering.asked) == 1


async def test_the_google_sdk_words_a_refused_interaction(answering):
    answering.reply = BY_NAME["google"].refuse(REFUSED)
    with pytest.raises(Exception, match="30 days") as caught:
        await ask_google_interaction(answering.url)
    assert type(caught.value).__name__ == "PermissionDeniedError"
    assert len(answering.asked) == 1


@pytest.mark.parametrize("status", STAINLESS)
async def test_each_status_is_the_sdks_own_class(answering, status):
    for name, ask, module in (("openai", ask_openai, openai), ("anthropic", ask_anthropic, anthropic)):
        said = refusal(status)
        answering.reply = BY_NAME[name].refuse(said)
        # A status that may be retried is: the waiting is the SDK's, and no business of this test.
        answering.reply = without_retry(answering.reply)
        with pytest.raises(getattr(module, STAINLESS[status])) as caught:
            await ask(answering.url)
        assert caught.value.status_code == status
        assert said.message in str(caught.value)


def without_retry(reply: Reply) -> Reply:
    kept = [pair for pair in reply.headers if pair[0] not in ("x-should-retry", "retry-after")]
    return Reply(reply.status, (*kept, ("x-should-retry", "false")), reply.body)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
@pytest.mark.parametrize("code", sorted(code for code, reason in REASONS.items() if reason.status))
def test_every_reason_can_be_told_from_the_gateways_and_says_whether_to_retry(dialect: Dialect, code: str):
    reason = REASONS[code]
    reply = dialect.refuse(Refusal(reason.status, code, reason.meaning, decision_id="dec_3"))
    headers = dict(reply.headers)
    assert reply.status == reason.status
    assert headers["x-ringfence-refusal"] == code
    assert headers["x-ringfence-decision-id"] == "dec_3"
    assert headers["content-type"] == "application/json"
    if headers["x-should-retry"] == "true":
        assert reason.retry
    if reason.status in (400, 401, 403, 404, 413, 415):
        assert headers["x-should-retry"] == "false"
    if reason.status == 429 or (reason.status == 503 and reason.retry):
        assert int(headers["retry-after"]) > 0


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_a_waiting_time_is_passed_on(dialect: Dialect):
    reply = dialect.refuse(Refusal(429, "rate_limited", "Slow down.", retry_after=17))
    assert ("retry-after", "17") in reply.headers
    assert "x-ringfence-decision-id" not in dict(reply.headers)


# -- lists -----------------------------------------------------------------------------------------


async def test_the_openai_sdk_reads_the_list(answering):
    answering.reply = BY_NAME["openai"].models((ROUTE, OTHER))
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{answering.url}/v1") as client:
        assert [model.id async for model in client.models.list()] == [ROUTE.id, OTHER.id]


async def test_the_anthropic_sdk_reads_the_list(answering):
    answering.reply = BY_NAME["anthropic"].models((ROUTE, OTHER))
    async with anthropic.AsyncAnthropic(api_key="k", base_url=answering.url) as client:
        models = [model async for model in client.models.list()]
    assert [model.id for model in models] == [ROUTE.id, OTHER.id]
    assert models[0].created_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert models[0].max_input_tokens == 1_000_000
    assert len(answering.asked) == 1


async def test_the_google_sdk_reads_the_list(answering):
    answering.reply = BY_NAME["google"].models((ROUTE, OTHER))
    models = [model async for model in await google_client(answering.url).models.list()]
    assert [model.name for model in models] == [f"models/{ROUTE.id}", f"models/{OTHER.id}"]
    assert models[0].input_token_limit == 1_000_000


def looked_up(dialect: str, model: str) -> Match:
    endpoint = next(
        each
        for each in BY_NAME[dialect].endpoints
        if each.operation == "models.get" and each.template.startswith("/v1/")
    )
    return Match(endpoint, model=model)


async def test_each_sdk_reads_one_model(answering):
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{answering.url}/v1") as client:
        answering.reply = BY_NAME["openai"].answer(looked_up("openai", ROUTE.id), (OTHER, ROUTE))
        assert (await client.models.retrieve(ROUTE.id)).id == ROUTE.id
    async with anthropic.AsyncAnthropic(api_key="k", base_url=answering.url) as claude:
        answering.reply = BY_NAME["anthropic"].answer(looked_up("anthropic", ROUTE.id), (OTHER, ROUTE))
        assert (await claude.models.retrieve(ROUTE.id)).id == ROUTE.id
    answering.reply = BY_NAME["google"].answer(looked_up("google", ROUTE.id), (OTHER, ROUTE))
    assert (await google_client(answering.url).models.get(model=ROUTE.id)).name == f"models/{ROUTE.id}"
    # What the SDKs asked for is what the router reads as this model.
    for target in answering.asked:
        found = routing.match(RawRequest("GET", target, "", (), b""))
        assert found is not None
        assert found.model == ROUTE.id


@pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
def test_a_model_that_the_caller_may_not_use_is_not_there(name):
    reply = BY_NAME[name].answer(looked_up(name, "secret/model"), (ROUTE,))
    assert reply.status == 404
    assert ("x-ringfence-refusal", "unknown_model") in reply.headers


@pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
@pytest.mark.parametrize("routes", [(), (ROUTE,)])
def test_every_list_can_be_asked_for_and_may_be_empty(name, routes):
    for endpoint in BY_NAME[name].endpoints:
        if endpoint.operation == "models.list":
            assert BY_NAME[name].answer(Match(endpoint), routes) == BY_NAME[name].models(routes)


def test_a_probe_is_answered_without_anybodys_routes():
    endpoint = next(each for each in BY_NAME["anthropic"].endpoints if each.operation == "probe")
    assert BY_NAME["anthropic"].answer(Match(endpoint), ()).status == 200


# -- the folder ------------------------------------------------------------------------------------


def offers_a_dialect(module: Any) -> bool:
    own = [thing for thing in vars(module).values() if getattr(thing, "__module__", "") == module.__name__]
    return any(isinstance(thing, type) and thing is not Dialect and hasattr(thing, "refuse") for thing in own)


def test_every_dialect_in_the_folder_is_in_the_tuple():
    names = [each.name for each in pkgutil.iter_modules(dialects.__path__)]
    modules = [importlib.import_module(f"proxy.core.dialects.{name}") for name in names]
    found = [module.DIALECT for module in modules if offers_a_dialect(module)]
    assert set(map(id, found)) == set(map(id, DIALECTS))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_an_endpoint_with_an_upstream_has_a_constant_target_and_a_member_table(dialect: Dialect):
    for endpoint in dialect.endpoints:
        assert endpoint.dialect == dialect.name
        assert bool(endpoint.members) == bool(endpoint.upstream) == (endpoint.method == "POST")
        if endpoint.upstream:
            assert endpoint.upstream.startswith(("/v3/compat/", "/v3/images"))
            assert ("{model}" in endpoint.upstream) == ("{model}" in endpoint.template)


@pytest.fixture(scope="module")
def shipped() -> Tables:
    """The tables as they ship."""
    folder = pathlib.Path(dialects.__file__).parents[2] / "tables"

    def parsed(name: str) -> list[Any]:
        return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(name))]

    return Tables(
        members=compile_members(*parsed("members/*.yaml")),
        effects=compile_effects(*parsed("effects/*.yaml")),
        headers=compile_headers(parsed("headers.yaml")[0]),
    )


SMALLEST: dict[str, Any] = {
    "openai.chat": {"model": "a/b", "messages": [{"role": "user", "content": "hi"}], "stream": True},
    "openai.responses": {"model": "a/b", "input": "hi", "store": False},
    "openai.embeddings": {"model": "a/b", "input": [1, 2, 3]},
    "opper.images": {"model": "a/b", "prompt": "a house"},
    "anthropic.messages": {"model": "a/b", "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]},
    "anthropic.count_tokens": {"model": "a/b", "messages": [{"role": "user", "content": "hi"}]},
    "google.generate_content": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    "google.embed_content": {"content": {"parts": [{"text": "hi"}]}},
    "google.batch_embed_contents": {
        "requests": [{"model": "models/a/b", "content": {"parts": [{"text": "hi"}]}}]
    },
    "google.interactions": {"model": "a/b", "input": "hi", "store": False},
}
READABLE = [(dialect, endpoint) for dialect in DIALECTS for endpoint in dialect.endpoints if endpoint.members]


@pytest.mark.parametrize(
    ("dialect", "endpoint"),
    READABLE,
    ids=[f"{endpoint.method} {endpoint.template}" for _, endpoint in READABLE],
)
def test_every_endpoint_reads_and_forwards_a_plain_request_with_the_shipped_tables(
    shipped, dialect, endpoint
):
    body = dict(SMALLEST[endpoint.members])
    if endpoint.operation == "images.edit":
        body["image"] = "data:image/png;base64,eA=="
    query = "alt=sse" if "alt=sse" in endpoint.query else ""
    headers = ((b"content-type", b"application/json"), (b"authorization", b"Bearer rf-secret"))
    raw = RawRequest("POST", endpoint.template.replace("{model}", "a/b"), query, headers, orjson.dumps(body))
    match = routing.match(raw)
    assert match is not None
    assert match.endpoint == endpoint
    native, named = dialect.translate(raw, match)
    call = dialect.read(native, named, shipped)
    assert call == dialect.read(raw, match, shipped)
    assert call.models == ("a/b",)
    assert not any("members.unknown" in effect.row for effect in call.effects)
    sent = dialect.forward(native, named, call, native.body, shipped)
    assert b"rf-secret" not in repr(sent.headers).encode() + sent.target.encode()
    assert sent.body is native.body
    assert sent.target.partition("?")[0] == endpoint.upstream.replace("{model}", "a/b")


@pytest.mark.parametrize(
    ("dialect", "endpoint"),
    READABLE,
    ids=[f"{endpoint.method} {endpoint.template}" for _, endpoint in READABLE],
)
@given(
    noise=st.binary(max_size=60)
    | st.from_regex(rb'\{"model":"[a-c]"(,"[a-z]{1,6}":[0-9])?\}', fullmatch=True)
)
def test_every_endpoint_reads_a_body_or_refuses_it_and_does_nothing_else(shipped, dialect, endpoint, noise):
    headers = ((b"content-type", b"application/json"),)
    query = "alt=sse" if "alt=sse" in endpoint.query else ""
    raw = RawRequest("POST", endpoint.template.replace("{model}", "a"), query, headers, noise)
    match = routing.match(raw)
    assert match is not None
    try:
        call = dialect.read(raw, match, shipped)
    except Unreadable as unread:
        assert unread.code in REASONS
        return
    assert all(isinstance(model, str) for model in call.models)
    assert len(call.fallbacks_at) == len(call.models) - 1
