"""The end of a proxy: open answers end first, nothing new is taken, and whoever hurries it cuts them."""

from __future__ import annotations

import http.client
import json
import signal

import pytest

from tests.operations.kit import Client, event, finish, readiness, refused
from tests.running import PATIENCE, Stage, eventually, running

pytestmark = pytest.mark.parametrize("workers", [1, 2])


def ends(stage: Stage) -> list[str]:
    return [record["end"] for record in stage.records() if record["kind"] == "outcome"]


def tell(stage: Stage, number: int) -> None:
    assert stage.process is not None
    stage.process.send_signal(number)


def code(stage: Stage) -> int:
    assert stage.process is not None
    return stage.process.wait(PATIENCE)


def test_an_open_answer_ends_whole_while_no_new_connection_is_taken(workers: int) -> None:
    with running(config={"workers": workers}) as stage:
        client, idle = Client(stage), Client(stage)
        assert idle.status() == 200
        answer = client.stream("drain")
        tell(stage, signal.SIGTERM)
        assert eventually(lambda: refused(stage.port))
        status, report = readiness(stage)
        assert status == 503
        assert any("draining" in words for words in report["troubles"])
        with pytest.raises((http.client.BadStatusLine, ConnectionError)):
            idle.status()
        assert b"[DONE]" in finish(stage, answer, "drain")
        assert code(stage) == 0
        assert ends(stage) == ["complete", "complete"]
        assert [record["kind"] for record in stage.records()].count("close") == workers


def test_a_second_signal_cuts_what_is_open_and_the_record_says_so(workers: int) -> None:
    with running(config={"workers": workers}) as stage:
        answer = Client(stage).stream("hurry")
        tell(stage, signal.SIGTERM)
        assert eventually(lambda: refused(stage.port))
        tell(stage, signal.SIGTERM)
        assert code(stage) == 0
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
        assert ends(stage) == ["shutdown"]


def test_an_answer_that_does_not_end_is_cut_at_the_deadline(workers: int) -> None:
    with running(config={"workers": workers, "drain_deadline": "300ms"}) as stage:
        answer = Client(stage).stream("deadline")
        tell(stage, signal.SIGINT)
        assert code(stage) == 0
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
        assert ends(stage) == ["shutdown"]
        assert any(json.loads(line)["event"] == "drain_deadline" for line in stage.said().splitlines())


def test_the_last_event_is_not_held_back_by_the_end(workers: int) -> None:
    """What the gateway has sent when the end begins still reaches the client."""
    with running(config={"workers": workers}) as stage:
        answer = Client(stage).stream("last")
        tell(stage, signal.SIGTERM)
        assert eventually(lambda: refused(stage.port))
        stage.confirm(1, "last")
        assert event(answer).startswith(b"data: ")
        tell(stage, signal.SIGTERM)
        assert code(stage) == 0
