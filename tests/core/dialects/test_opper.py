"""Opper's native image requests: read as they are, refused in Opper's own error form."""

from __future__ import annotations

import orjson
import pytest

from proxy.core.dialects import opper
from proxy.core.errors import Unreadable
from proxy.core.values import Refusal, Signal
from tests.core.dialects.facts import TABLES, asked

DIALECT = opper.DIALECT


def test_an_image_request_is_read_and_sent_as_it_came():
    raw, match = asked("/v3/images", b'{ "model":"openai/gpt-image-1","prompt":"p","store":true}')
    call = DIALECT.read(raw, match, TABLES)
    assert (call.operation, call.models, call.effects[0].signals) == (
        "images.create", ("openai/gpt-image-1",), (Signal.APP_STATE,),
    )  # fmt: skip
    assert DIALECT.translate(raw, match) == (raw, match)
    sent = DIALECT.forward(raw, match, call, raw.body, TABLES)
    assert (sent.target, sent.body) == ("/v3/images", raw.body)


def test_a_list_of_models_in_place_of_one_is_refused():
    raw, match = asked("/v3/images", b'{"model":["a/b","c/d"],"prompt":"p"}')
    with pytest.raises(Unreadable):
        DIALECT.read(raw, match, TABLES)


def test_a_refusal_has_the_form_of_oppers_errors():
    reply = DIALECT.refuse(Refusal(403, "requirement_unmet", "No.", decision_id="d", alternatives=("a/b",)))
    error = orjson.loads(reply.body)["error"]
    assert (error["code"], error["message"]) == ("requirement_unmet", "No.")
    assert error["details"]["compliant_routes"] == ["a/b"]


def test_a_list_has_oppers_envelope():
    assert orjson.loads(DIALECT.models(()).body) == {"models": [], "total": 0, "offset": 0, "limit": 0}


def test_the_tap_reads_the_cost():
    tap = DIALECT.tap("images.create", False)
    tap.feed(b'{"id":"img_1","usage":{"cost":0.04}}')
    assert tap.finish().cost_microusd == 40_000
