from typing import Any

import orjson
import pytest

from proxy.simulator.api import Api, Arrived
from proxy.simulator.rows import Rows

US = "example-us/atlas-1"


@pytest.fixture(scope="module")
def api() -> Any:
    return Api(Rows())


def call(api: Any, method: Any, path: Any, body: Any = None, key: Any = True, **query: Any) -> Any:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    answer, _ = api.answer(Arrived(method, path, query, raw, key))
    return answer.status, orjson.loads(answer.body) if answer.body else None


CHAT = {"model": US, "messages": [{"role": "user", "content": "[[say:x]]"}]}
MESSAGES = {**CHAT, "max_tokens": 5}


@pytest.mark.parametrize(
    ("native", "body"),
    [("chat/completions", CHAT), ("v1/messages", MESSAGES), ("responses", {"model": US, "input": "x"})],
)
@pytest.mark.parametrize(
    "prefix", ["/v3/compat/", "/v3/session/sess_1/", "/v3/session/sess_1/team:web/user:a b/"]
)
def test_every_session_path_is_the_twin_of_its_compat_path(api, prefix, native, body):
    assert call(api, "POST", prefix + native, body)[0] == 200


def test_a_session_id_must_look_like_one(api):
    assert call(api, "POST", "/v3/session/x1/chat/completions", CHAT) == (
        400,
        {"error": "invalid session id"},
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v3/compat/completions"),
        ("POST", "/v3/compat/images/generations"),
        ("POST", "/v3/compat/v1/messages/count_tokens"),
        ("GET", "/v3/compat/chat/completions"),
        ("POST", "/v3/compat/v1beta/models/a/b:countTokens"),
        ("HEAD", "/"),
        ("POST", "/v3/compat//chat/completions"),
    ],
)
def test_what_opper_does_not_document_is_not_there(api, method, path):
    assert call(api, method, path, {}) == (
        404,
        {"errors": [{"type": "HTTPException", "message": "Not Found"}]},
    )


def test_only_health_and_the_catalogue_need_no_key(api):
    assert call(api, "GET", "/health", key=None)[0] == 200
    assert call(api, "GET", "/v3/models", key=None)[0] == 200
    assert call(api, "GET", "/v3/compat/models", key=None)[0] == 401
    assert call(api, "GET", "/v3/images/models", key=False)[0] == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"'])
def test_a_body_that_is_no_object_is_400(api, body):
    assert call(api, "POST", "/v3/compat/chat/completions", body)[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        {"model": US, "messages": 5},
        {
            "model": US,
            "messages": [{"role": "user", "content": [{"text": 5}, 7]}],
            "tools": [{"function": 3}, 9],
        },
        {"model": US, "input": 7},
        {"model": US, "messages": [{"role": "user", "content": {}}], "tools": 5, "max_tokens": 1},
    ],
)
@pytest.mark.parametrize(
    "native", ["chat/completions", "responses", "v1/messages", "v1beta/interactions", "embeddings"]
)
def test_no_body_makes_it_fail_by_itself(api, native, body):
    assert call(api, "POST", f"/v3/compat/{native}", body)[0] in (200, 400, 404)


def test_the_model_in_the_answer_is_what_was_asked_and_not_who_served(api):
    assert (
        call(api, "POST", "/v3/compat/chat/completions", {**CHAT, "model": "atlas-1"})[1]["model"]
        == "atlas-1"
    )


@pytest.mark.parametrize(
    ("model", "status"), [("", 400), (["a", "b"], 400), (None, 400), ("dynamic/x", 404), ("no/such", 404)]
)
def test_models_that_name_no_route_are_refused(api, model, status):
    assert call(api, "POST", "/v3/compat/chat/completions", {**CHAT, "model": model})[0] == status


def test_a_route_of_another_kind_does_not_answer(api):
    embedding = {**CHAT, "model": "example-us/quill-embed-1"}
    assert call(api, "POST", "/v3/compat/chat/completions", embedding)[0] == 404
    assert call(api, "POST", "/v3/images", {"model": US, "prompt": "x"})[0] == 404
