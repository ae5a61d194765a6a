"""Several workers behind one port: even, replaceable, and one as to limits, catalogue and numbers."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

from tests.operations.kit import Client, finish, readiness, workers
from tests.running import eventually, running

LIMITED = {"project:open": {"requests_per_minute": 7, "concurrent_streams": 3}}


def test_connections_are_spread_evenly() -> None:
    with running(config={"workers": 3}) as stage:
        clients = [Client(stage) for _ in range(9)]
        assert {client.status() for client in clients} == {200}
        logs = [record["log"] for record in stage.records() if record["kind"] == "intent"]
        assert sorted(logs.count(log) for log in set(logs)) == [3, 3, 3]
        # Whose connections end gets the next ones.
        for client in clients[:3]:
            client.close()
        assert eventually(lambda: re.search(r"^ringfence_connections 6\.0$", stage.metrics(), re.MULTILINE))
        more = [Client(stage) for _ in range(3)]
        assert {client.status() for client in more} == {200}
        assert eventually(lambda: re.search(r"^ringfence_connections 9\.0$", stage.metrics(), re.MULTILINE))


def test_all_begin_with_the_catalogue_that_the_first_has_fetched() -> None:
    with running(config={"workers": 3, "reload_every": "1h"}) as stage:
        assert {Client(stage).status() for _ in range(6)} == {200}


def test_a_killed_worker_comes_back_under_its_name_while_the_others_serve() -> None:
    with running(config={"workers": 2, "drain_deadline": "200ms"}) as stage:
        clients = {worker: Client(stage) for worker in ("one", "other")}
        streams = {name: client.stream(name) for name, client in clients.items()}
        before = workers(stage)
        assert sorted(before) == ["w0", "w1"]
        os.kill(before["w1"], signal.SIGKILL)
        assert eventually(lambda: "worker_ended" in stage.said())
        assert {Client(stage).status() for _ in range(4)} == {200}
        status, _ = readiness(stage)
        assert status == 200
        after = eventually(lambda: found if len(found := workers(stage)) == 2 else None)
        assert after["w0"] == before["w0"]
        assert after["w1"] != before["w1"]
        assert eventually(lambda: readiness(stage)[1]["warnings"] == [])
        survivors = 0
        for name, answer in streams.items():
            try:
                survivors += b"[DONE]" in finish(stage, answer, name)
            except OSError:
                continue
        assert survivors == 1
        ends = sorted(record["end"] for record in stage.records() if record["kind"] == "outcome")
        assert ends.count("unknown_crash") == 1
        opened = [record for record in stage.records() if record["kind"] == "open"]
        assert sum(record["recovered"] for record in opened) == 1


def test_a_worker_that_drains_alone_gets_no_new_connections_while_its_answers_end() -> None:
    """It has the fewest, and would be handed every one of them only to give it back."""
    with running(config={"workers": 2}) as stage:
        clients = {name: Client(stage) for name in ("w0 first", "w1", "w0 second")}
        streams = {name: client.stream(name) for name, client in clients.items()}
        before = workers(stage)
        os.kill(before["w1"], signal.SIGTERM)
        assert eventually(lambda: '"event":"draining"' in stage.said())
        assert [Client(stage).status() for _ in range(4)] == [200] * 4
        for name, answer in streams.items():
            assert b"[DONE]" in finish(stage, answer, name)
        after = eventually(lambda: found if len(found := workers(stage)) == 2 else None)
        assert eventually(lambda: workers(stage).get("w1", before["w1"]) != before["w1"]), after
        assert Client(stage).status() == 200


def test_limits_hold_for_all_workers_together() -> None:
    with running(config={"workers": 3, "limits": LIMITED}) as stage:
        clients = [Client(stage) for _ in range(12)]
        with ThreadPoolExecutor(len(clients)) as pool:
            statuses = list(pool.map(lambda client: client.status(), clients))
        assert set(statuses) == {200, 429}
        # Each other worker may let one through at the very edge; see proxy/limits.py.
        assert 7 <= statuses.count(200) <= 9


def test_streams_that_are_open_in_other_workers_count_and_a_dead_workers_do_not() -> None:
    limits = {"project:open": {"concurrent_streams": 3}}
    with running(config={"workers": 3, "limits": limits, "drain_deadline": "200ms"}) as stage:
        clients = [Client(stage) for _ in range(3)]
        streams = [client.stream(str(number)) for number, client in enumerate(clients)]
        assert [Client(stage).ask(stream=True).status for _ in range(3)] == [429] * 3
        assert b"[DONE]" in finish(stage, streams[0], "0")
        assert eventually(lambda: Client(stage).ask(stream=True).status == 200)
        os.kill(workers(stage)["w2"], signal.SIGKILL)
        assert eventually(lambda: len(workers(stage)) == 3 and not readiness(stage)[1]["warnings"])
        assert Client(stage).ask(stream=True).status == 200


def test_numbers_are_those_of_all() -> None:
    with running(config={"workers": 2}) as stage:
        for client in [Client(stage) for _ in range(6)]:
            assert client.status() == 200
        (total,) = re.findall(
            r'^ringfence_outcomes_total\{.*end="complete".*\} (\S+)$', stage.metrics(), re.M
        )
        assert float(total) == 6
