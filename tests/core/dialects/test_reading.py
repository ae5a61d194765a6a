"""A body has one media type and one reading, and every model that it names is found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.dialects import reading
from proxy.core.errors import Unreadable
from proxy.core.fields import Fields
from proxy.core.values import Match, RawRequest, Signal
from tests.core.dialects.facts import JSON, TABLES, asked


def refused(read, *given_to: Any) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(*given_to)
    return caught.value


def typed(*values: bytes) -> Fields:
    return Fields(tuple((b"Content-Type", value) for value in values))


# -- media types -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json;charset=utf-8",
        b'application/json; charset="UTF-8"',
    ],
)
def test_json_as_utf_8_is_taken_in_its_usual_spellings(value: bytes) -> None:
    reading.require_json(typed(value))


@pytest.mark.parametrize(
    "values",
    [
        (),
        (b"",),
        (b"text/plain",),
        (b"application/json; charset=utf-16",),
        (b"application/json; charset=utf-8; charset=utf-16",),
        (b"application/json, text/plain",),
        (b"application/jsonx",),
        (b" application/json",),
        (b"application/json", b"application/json"),
        (b"application/json\r\n",),
    ],
)
def test_what_another_reader_could_take_for_something_else_is_refused(values: tuple[bytes, ...]) -> None:
    error = refused(reading.require_json, typed(*values))
    assert (error.code, error.param) == ("unsupported_media_type", "content-type")


@pytest.mark.parametrize("coding", [b"gzip", b"identity", b"", b"br, gzip"])
def test_a_coded_body_is_refused_before_its_type_is_looked_at(coding: bytes) -> None:
    fields = Fields((*typed(b"text/plain").pairs, (b"Content-Encoding", coding)))
    assert refused(reading.single_media, fields).code == "content_coding"


def test_a_body_where_none_has_a_meaning_is_refused() -> None:
    reading.require_no_body(RawRequest("GET", "/v1/models", "", (), b""))
    error = refused(reading.require_no_body, RawRequest("GET", "/v1/models", "", (), b" "))
    assert error.code == "bad_request_body"


# -- models ----------------------------------------------------------------------------------------


def test_the_main_model_comes_first_then_fallbacks_then_those_of_tools() -> None:
    models, places = reading.references(
        {
            "tools": [{"type": "image_generation", "model": "painter"}],
            "fallback_models": ["second", "third"],
            "model": "first",
        }
    )
    assert models == ("first", "second", "third", "painter")
    assert places == (("fallback_models", 0), ("fallback_models", 1), ("tools", 0, "model"))


@pytest.mark.parametrize("body", [{}, {"model": None}, {"model": ""}])
def test_a_missing_model_reads_as_none_that_any_policy_allows(body: dict[str, Any]) -> None:
    assert reading.references(body) == (("",), ())


@pytest.mark.parametrize(
    "body",
    [
        {"model": ["a"]},
        {"model": {"id": "a"}},
        {"model": 7},
        {"fallback_models": "a"},
        {"fallback_models": {"a": "b"}},
        {"fallback_models": [["a"]]},
        {"fallback_models": [0]},
        {"tools": [{"model": {"id": "a"}}]},
    ],
)
def test_a_model_that_is_no_string_is_refused(body: dict[str, Any]) -> None:
    assert refused(reading.references, body).code == "wrong_type"


LONG = "a" * (reading.LONGEST_MODEL + 1)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"model": LONG}, "model"),
        ({"model": "a", "fallback_models": ["b", LONG]}, "fallback_models"),
        ({"model": "a", "tools": [{"model": LONG}]}, "tools.model"),
    ],
)
def test_a_name_that_is_longer_than_any_model_id_is_refused_wherever_it_stands(
    body: dict[str, Any], where: str
) -> None:
    error = refused(reading.references, body)
    assert (error.code, error.param) == ("unknown_model", where)
    assert "256 characters" in error.detail
    assert LONG not in error.detail


def test_a_name_in_a_path_is_no_longer_than_one_in_a_body() -> None:
    assert reading.path_model(LONG[1:]) == LONG[1:]
    assert refused(reading.path_model, LONG).code == "unknown_model"


def test_a_request_names_as_many_models_as_it_may_and_not_one_more() -> None:
    fallbacks = ["b"] * (reading.MOST_MODELS - 2)
    body: dict[str, Any] = {"model": "a", "fallback_models": fallbacks, "tools": [{"model": "c"}]}
    assert len(reading.references(body)[0]) == reading.MOST_MODELS == 16
    for name, more in (("fallback_models", [*fallbacks, "b"]), ("tools", [{"model": "c"}, {"model": "d"}])):
        error = refused(reading.references, {**body, name: more})
        assert error.code == "too_many_members"
        assert "16 models" in error.detail


def test_tools_without_a_model_do_not_count_as_models() -> None:
    assert reading.references({"model": "a", "tools": [{"name": "t"}] * 500}) == (("a",), ())


tool_places = st.sampled_from(
    [
        (("tools", 2), lambda tool: {"tools": [{}, 7, tool]}),
        (("tool",), lambda tool: {"tool": tool}),
        (("tools", 0, "definition"), lambda tool: {"tools": [{"definition": tool}]}),
        (("tools", 0, "tools", 1), lambda tool: {"tools": [{"tools": [None, tool]}]}),
        (("input", 0, "tools", 0), lambda tool: {"input": [{"tools": [tool]}]}),
        (("input", "tools", 0), lambda tool: {"input": {"tools": [tool]}}),
        (
            ("messages", 1, "content", 0, "tool"),
            lambda tool: {"messages": [{}, {"content": [{"tool": tool}]}]},
        ),
        (
            ("input", 0, "tool_changes", 0, "tool"),
            lambda tool: {"input": [{"tool_changes": [{"tool": tool}]}]},
        ),
    ]
)


@given(tool_places, st.text(min_size=1, max_size=10))
def test_the_model_of_a_tool_is_found_wherever_tools_may_stand(place, model: str) -> None:
    at, build = place
    models, places = reading.references({"model": "main", **build({"model": model})})
    assert models == ("main", model)
    assert places == ((*at, "model"),)


# -- streams, paths, unknown members ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "streams"), [({}, False), ({"stream": None}, False), ({"stream": True}, True)]
)
def test_a_stream_is_asked_for_with_true_alone(body: dict[str, Any], streams: bool) -> None:
    assert reading.is_streamed(body) is streams


@pytest.mark.parametrize("value", [0, 1, "true", "", [], {}])
def test_anything_else_about_streaming_is_refused(value: Any) -> None:
    assert refused(reading.is_streamed, {"stream": value}).param == "stream"


@given(st.text(max_size=20))
def test_a_model_in_a_path_is_taken_as_it_is_or_not_at_all(text: str) -> None:
    try:
        assert reading.path_model(text) == text
    except Unreadable as error:
        assert error.code == "bad_request_target"
        return
    assert text.isascii()
    assert not set(text) & set("%?#\\ \t\r\n")
    assert all(segment not in ("", ".", "..") for segment in text.split("/"))


@pytest.mark.parametrize("model", ["gpt-4o", "example/atlas-1", "org/model:free", "a/b@2026-01-01", "v1.5"])
def test_usual_model_ids_may_stand_in_a_path(model: str) -> None:
    assert reading.path_model(model) == model


def test_members_that_no_table_knows_are_one_finding_that_could_be_undone() -> None:
    assert reading.unknown_members(()) == ()
    (effect,) = reading.unknown_members([("a",), ("b", 0, "c")])
    assert effect.signals == (Signal.UNKNOWN_MEMBER,)
    assert [(edit.pointer, edit.op) for edit in effect.edits] == [
        (("a",), "remove"),
        (("b", 0, "c"), "remove"),
    ]


# -- whole bodies ----------------------------------------------------------------------------------


def test_a_call_says_all_that_its_body_asks_for() -> None:
    body = {"model": "a", "fallback_models": ["b"], "stream": True, "store": True, "surprise": 1}
    raw, match = asked("/v1/chat/completions", json.dumps(body).encode())
    call = reading.call_in_body(raw, match, TABLES)
    assert (call.operation, call.dialect, call.stream) == ("chat.completions", "openai", True)
    assert (call.models, call.fallbacks_at) == (("a", "b"), (("fallback_models", 0),))
    assert {signal for effect in call.effects for signal in effect.signals} == {
        Signal.UNKNOWN_MEMBER, Signal.APP_STATE,
    }  # fmt: skip


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"", b'{"a":1,"a":2}', b'{"model":"a"} {}'])
def test_a_body_that_is_not_one_object_is_refused(body: bytes) -> None:
    raw, match = asked("/v1/chat/completions", body)
    refused(reading.read_json, raw, match, TABLES)


@pytest.mark.parametrize(
    ("entries", "passes"),
    [
        (["text"] * 2048, True),
        (["text"] * 2049, False),
        ([7] * 8192, True),
        ([7] * 8193, False),
        ([7, "text"] * 1025, False),
        ([], True),
    ],
)
def test_an_embedding_takes_as_much_as_the_api_documents(entries: list[Any], passes: bool) -> None:
    raw, match = asked("/v1/embeddings", json.dumps({"model": "a", "input": entries}).encode())
    if passes:
        assert reading.call_in_body(raw, match, TABLES).models == ("a",)
    else:
        assert refused(reading.call_in_body, raw, match, TABLES).code == "too_many_members"


def test_an_endpoint_without_a_body_is_a_call_of_no_model() -> None:
    raw, match = asked("/v1/models", b"", JSON, "GET")
    assert isinstance(match, Match)
    call = reading.bodiless(match)
    assert (call.models, call.effects, call.stream) == ((), (), False)
    assert raw.body == b""
