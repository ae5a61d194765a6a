"""A path is the one that the API documents, byte for byte, or it is nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.dialects import DIALECTS, routing
from proxy.core.errors import Unreadable
from proxy.core.values import RawRequest

ANTHROPIC = ((b"Anthropic-Version", b"2023-06-01"),)
GOOGLE = ((b"X-Goog-Api-Key", b"k"),)
SESSION = "/v3/session/sess_0197f3c0-6f1a-7c3e-9a51-000000000001"


def raw(method: str, target: str, headers=()) -> RawRequest:
    path, _, query = target.partition("?")
    return RawRequest(method, path, query, headers, b"")


def found(method: str, target: str, headers=()):
    got = routing.match(raw(method, target, headers))
    assert got is not None
    return got


@pytest.mark.parametrize(
    ("method", "target", "dialect", "operation", "upstream"),
    [
        ("POST", "/v1/chat/completions", "openai", "chat.completions", "/v3/compat/chat/completions"),
        ("POST", "/v3/compat/chat/completions", "openai", "chat.completions", "/v3/compat/chat/completions"),
        ("POST", "/v1/responses", "openai", "responses", "/v3/compat/responses"),
        ("POST", "/v1/embeddings", "openai", "embeddings", "/v3/compat/embeddings"),
        ("POST", "/v1/images/generations", "openai", "images.generate", "/v3/images"),
        ("POST", "/v3/compat/images/edits", "openai", "images.edit", "/v3/images"),
        ("POST", "/v3/images", "opper", "images.create", "/v3/images"),
        ("POST", "/v1/messages", "anthropic", "messages", "/v3/compat/v1/messages"),
        ("POST", "/v1/messages?beta=true", "anthropic", "messages", "/v3/compat/v1/messages"),
        ("POST", "/v3/compat/v1/messages", "anthropic", "messages", "/v3/compat/v1/messages"),
        (
            "POST",
            "/v1/messages/count_tokens",
            "anthropic",
            "messages.count_tokens",
            "/v3/compat/v1/messages/count_tokens",
        ),
        ("POST", "/v1beta/interactions", "google", "interactions", "/v3/compat/v1beta/interactions"),
        ("POST", "/v1/interactions", "google", "interactions", "/v3/compat/v1beta/interactions"),
        ("HEAD", "/", "anthropic", "probe", ""),
        ("HEAD", "/v3/compat", "anthropic", "probe", ""),
        ("HEAD", SESSION, "anthropic", "probe", ""),
        ("HEAD", f"{SESSION}/team:red", "anthropic", "probe", ""),
        ("GET", "/api/hello", "anthropic", "probe", ""),
        ("GET", "/v1beta/models", "google", "models.list", ""),
        ("GET", "/v3/compat/models", "openai", "models.list", ""),
    ],
)
def test_a_documented_path_leads_to_its_endpoint(method, target, dialect, operation, upstream):
    endpoint = found(method, target).endpoint
    assert (endpoint.dialect, endpoint.operation, endpoint.upstream) == (dialect, operation, upstream)


@pytest.mark.parametrize("version", ["/v1", "/v1beta", "/v3/compat/v1", "/v3/compat/v1beta"])
@pytest.mark.parametrize(
    "verb", ["generateContent", "streamGenerateContent?alt=sse", "embedContent", "batchEmbedContents?key=k"]
)
@pytest.mark.parametrize(
    "model", ["gemini-2.5-pro", "gemini/gemini-2.5-pro", "alibaba:eu/Qwen/Q-3:7b", "a@b+c"]
)
def test_googles_model_stands_in_the_path_with_slashes_and_colons(version, verb, model):
    got = found("POST", f"{version}/models/{model}:{verb}")
    assert got.model == model
    assert got.endpoint.upstream == f"/v3/compat/v1beta/models/{{model}}:{verb.partition('?')[0]}"


@pytest.mark.parametrize(
    "path",
    [
        "chat/completions",
        "responses",
        "embeddings",
        "v1/messages",
        "v1/messages/count_tokens",
        "v1beta/interactions",
        "v1beta/models/alibaba:eu/x:generateContent",
        "images/generations",
    ],
)
@pytest.mark.parametrize("tags", ["", "/team:red", "/team:red/run:2026-11-22.a"])
def test_a_session_path_is_its_compat_twin_and_its_tags_go_nowhere(path, tags):
    got = found("POST", f"{SESSION}{tags}/{path}")
    assert got.endpoint == found("POST", f"/v3/compat/{path}").endpoint
    assert got.session == SESSION.rpartition("/")[2]


@pytest.mark.parametrize(
    ("target", "headers", "owner"),
    [
        ("/v1/models", (), "openai"),
        ("/v1/models?client_version=0.169.0", (), "openai"),
        ("/v1/models", ANTHROPIC, "anthropic"),
        ("/v1/models?limit=1000", ANTHROPIC, "anthropic"),
        ("/v1/models", GOOGLE, "google"),
        ("/v1/models?key=rf-a-b", (), "google"),
        ("/v1/models?pageSize=50&key=k", (), "google"),
        ("/v1/models/openai/gpt-5.5", (), "openai"),
        ("/v1/models/openai%2Fgpt-5.5", ANTHROPIC, "anthropic"),
        ("/v1/models/alibaba%3Aeu%2Fqwen", (), "openai"),
        ("/v1beta/models/openai/gpt-5.5", ANTHROPIC, "google"),
        ("/v3/compat/v1/models", ANTHROPIC, "anthropic"),
        ("/v3/compat/v1/models", (), "openai"),
        (f"{SESSION}/v1/models", ANTHROPIC, "anthropic"),
    ],
)
def test_the_model_list_belongs_to_the_sdk_that_asks(target, headers, owner):
    assert found("GET", target, headers).endpoint.dialect == owner


def test_a_model_that_an_sdk_looks_up_with_an_encoded_slash_is_read_once():
    assert found("GET", "/v1/models/openai%2Fgpt-5.5").model == "openai/gpt-5.5"
    for target in (
        "/v1/models/openai%252Fgpt",
        "/v1/models/a%2f..%2fb",
        "/v1/models/..%2Fb",
        "/v1/models/a%20b",
    ):
        with pytest.raises(Unreadable):
            routing.match(raw("GET", target))


def test_an_encoded_slash_is_refused_where_the_path_travels_on():
    with pytest.raises(Unreadable):
        routing.match(raw("POST", "/v1beta/models/openai%2Fgpt:generateContent"))


@pytest.mark.parametrize("headers", [ANTHROPIC + GOOGLE, GOOGLE + ANTHROPIC])
def test_the_signs_of_two_sdks_are_refused_on_a_path_of_both(headers):
    with pytest.raises(Unreadable) as caught:
        routing.match(raw("GET", "/v1/models", headers))
    assert caught.value.code == "bad_request_target"


@pytest.mark.parametrize(
    "target",
    [
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/./chat/completions",
        "/v1/chat/completions/../../../v2/custom-models",
        "/v1/chat/completions/%2e%2e/models",
        "/v1/chat/completions/%252e%252e/models",
        "/v1/chat/completions%00.json",
        "/v1/models%3f/../chat/completions",
        "/v1/chat/completions%0d%0aX-Opper-Api-Key:%20op%0d%0a",
        "/v1/chat/completions;x=1",
        "/v1/chat/completions;x=1/../../models",
        "/v1/models#/../chat/completions",
        "/healthz/../v1/chat/completions",
        "/v1\\chat\\completions",
        "/v1/chat/compl\u00e9tions",
        "/v1/chat/completions ",
        "\t/v1/chat/completions",
        "http://proxy.test/v1/chat/completions",
        "*",
        "",
        "v1/chat/completions",
        "/v1/ch%61t/completions",
        "/v1beta/models/a/../b:generateContent",
        "/v1beta/models/./b:generateContent",
        "/v1beta/models//b:generateContent",
        "/v1beta/models/:generateContent",
        "/v1beta/models/a%2Fb:generateContent",
        "/v1beta/models/a:generateContent/b:generateContent",
        "/v1beta/models/a:generateContent:generateContent",
        "/v1beta/models/a:predict/b:generateContent",
        "/v1beta/models/a;b:generateContent",
        "/v3/session/nobody/chat/completions",
        "/v3/session/sess_/chat/completions",
        "/v3/session/sess_a.b/chat/completions",
        f"{SESSION}/user:jane@example.com/chat/completions",
        f"{SESSION}/opper.x:y/chat/completions",
        f"{SESSION}/team:/chat/completions",
        f"{SESSION}/team:a%2Fb/chat/completions",
        SESSION + "/a:b" * 9 + "/chat/completions",
        f"{SESSION}/../../chat/completions",
        f"{SESSION}//chat/completions",
    ],
)
def test_a_path_with_a_second_reading_is_refused(target):
    with pytest.raises(Unreadable) as caught:
        routing.match(raw("POST", target))
    assert caught.value.code == "bad_request_target"


@pytest.mark.parametrize(
    "target",
    [
        "/V1/Chat/Completions",
        "/v1/batches",
        "/v1/fine_tuning/jobs",
        "/v1/files",
        "/v1/completions",
        "/v1",
        "/v1/responses/resp_123",
        "/v1/images/variations",
        "/v1/audio/speech",
        "/v3/call",
        "/v3/videos",
        "/v1/messages/batches",
        "/management/v1/controls/rules",
        "/v1beta/models/x:batchGenerateContent",
        "/v1beta/models/x:countTokens",
        "/v1beta/cachedContents",
        "/v3/compat/openresponses",
        "/v3/compat/v3/images",
        f"{SESSION}/v3/images",
        f"{SESSION}/files",
        "/index.html",
    ],
)
def test_a_path_that_is_not_offered_is_unknown(target):
    assert routing.match(raw("POST", target)) is None


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1/chat/completions"),
        ("post", "/v1/messages"),
        ("DELETE", "/v1/models"),
        ("GET", "/"),
        ("POST", "/api/hello"),
    ],
)
def test_another_method_is_told_so(method, target):
    with pytest.raises(Unreadable) as caught:
        routing.match(raw(method, target))
    assert caught.value.code == "method_not_allowed"


@pytest.mark.parametrize(
    "target",
    [
        "/v1/chat/completions?x=/healthz",
        "/v1/chat/completions?key=op-attacker",
        "/v1/chat/completions?beta=true",
        "/v1/chat/completions?model=openai%2Fgpt-5.5",
        "/v1/messages?beta=false",
        "/v1/messages?beta",
        "/v1/messages?&",
        "/v1/messages?beta=true&beta=true",
        "/v1/messages?Beta=true",
        "/v1/messages?beta=true#x",
        "/v1/messages?beta%3Dtrue",
        "/v1beta/models/m:generateContent?alt=sse",
        "/v1beta/models/m:generateContent?key=a%62",
        "/v1beta/models/m:generateContent?key=a&key=b",
        "/v1beta/models/m:generateContent?model=x",
        "/v1beta/models/m:streamGenerateContent?alt=json",
        "/v3/images?store=true",
    ],
)
def test_a_query_that_is_not_listed_is_refused(target):
    with pytest.raises(Unreadable) as caught:
        routing.match(raw("POST", target))
    assert caught.value.code == "bad_request_target"


@given(st.text(max_size=40) | st.from_regex(r"(/[a-z0-9.%:;]{0,12}){1,6}", fullmatch=True))
def test_whatever_is_forwarded_came_by_a_path_that_nobody_reads_otherwise(path):
    try:
        got = routing.match(RawRequest("POST", path, "", (), b""))
    except Unreadable:
        return
    if got is not None:
        assert path.isascii()
        assert not any(mark in path for mark in ("%", ";", "#", "\\", "//", " "))
        assert not {"", ".", ".."} & set(path.split("/")[1:])


def test_every_endpoint_can_be_reached_and_belongs_to_its_dialect():
    for dialect in DIALECTS:
        for endpoint in dialect.endpoints:
            headers = {"anthropic": ANTHROPIC, "google": GOOGLE}.get(dialect.name, ())
            got = found(endpoint.method, endpoint.template.replace("{model}", "a/b"), headers)
            assert got.endpoint == endpoint
            assert routing.dialect_of(endpoint) is dialect


@pytest.mark.parametrize("headers", [(), ANTHROPIC, GOOGLE, ANTHROPIC + GOOGLE])
@pytest.mark.parametrize(("method", "path"), list(routing._SOLE))
def test_an_operation_that_has_its_path_alone_is_found_as_by_a_full_look(method, path, headers) -> None:
    asked = raw(method, path, headers)
    assert routing.match(asked) == routing._find(asked, path, session="")
