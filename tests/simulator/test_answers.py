import orjson
import pytest

from proxy.simulator.answers import Refused, event, plain, refusal, stream


def test_an_event_is_one_block_of_lines():
    assert event({"a": "x\ny"}, "named") == b'event: named\ndata: {"a":"x\\ny"}\n\n'
    assert event("[DONE]") == b"data: [DONE]\n\n"


def test_an_answer_has_either_a_body_or_events():
    assert plain({}).events is None
    assert (stream([b"a"]).body, stream([b"a"]).media) == (b"", "text/event-stream")


@pytest.mark.parametrize(
    ("family", "body"),
    [
        ("openai", {"error": {"message": "m", "type": "permission_error", "param": None, "code": "c"}}),
        ("anthropic", {"type": "error", "error": {"type": "permission_error", "message": "m"}}),
        ("google", {"error": {"code": 403, "message": "m", "status": "PERMISSION_DENIED"}}),
        ("native", {"error": {"code": "c", "message": "m"}}),
    ],
)
def test_a_refusal_has_the_shape_of_its_family(family, body):
    answer = refusal(family, Refused(403, "m", code="c", headers=(("X-A", "b"),)))
    assert (answer.status, answer.headers, orjson.loads(answer.body)) == (403, (("X-A", "b"),), body)
