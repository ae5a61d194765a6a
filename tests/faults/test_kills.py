"""kill -9 under load, 40 times: the gateway has seen nothing that the log did not say before."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.journal import load_pseudonyms
from tests.faults import crowd as crowds
from tests.faults.crowd import BUSY, HELD, Crowd, Record, Victim, broken_promises, victim
from tests.faults.sabotaged import WAYS
from tests.journal import kit

KILLS = 40
SABOTAGED = Path(__file__).parent / "sabotaged.py"


async def kill_once(stage: Victim, number: int) -> int:
    """Kill the proxy under its crowd; how many requests were in flight.

    Every other time that is while the requests come in, and no two of those at the same point;
    else once all streams are held and a number of short answers has ended.
    """
    async with crowds.crowd(stage, f"kill {number}") as crowd:
        await crowd.until(lambda: crowd.written >= HELD + BUSY)
        await crowd.until(_moment(crowd, number))
        in_flight = crowd.in_flight
        stage.kill()
    stage.collect()
    return in_flight


def _moment(crowd: Crowd, number: int) -> Callable[[], bool]:
    if number % 2:
        return lambda: crowd.begun >= number * 3
    return lambda: crowd.begun >= HELD and crowd.finished >= number * 2


def test_over_forty_kills_every_request_received_has_an_earlier_intent_and_each_intent_one_outcome(
    tmp_path: Path,
) -> None:
    in_flight = []
    with victim(tmp_path) as stage:
        for number in range(KILLS):
            in_flight.append(asyncio.run(kill_once(stage, number)))
            stage.start()
        stage.stop()
        assert stage.promises() == []
        records, received = stage.records(), stage.received
    assert len(in_flight) == KILLS
    assert min(in_flight) >= 100
    ends = Counter(record["end"] for record in records if record["kind"] == "outcome")
    assert ends["unknown_crash"] >= KILLS * HELD // 2
    assert ends["complete"] >= KILLS * 5
    assert len(received) >= KILLS * HELD // 2
    assert sum(r["recovered"] for r in records if r["kind"] == "open") == ends["unknown_crash"]
    assert kit.verified(tmp_path / "data") == 0
    for name, spoil in SPOILS.items():
        pseudonyms = load_pseudonyms(tmp_path / "data" / "audit" / "pseudonym.key")
        assert broken_promises(received, spoil(copy.deepcopy(records)), pseudonyms.body), name


# -- the check itself ------------------------------------------------------------------------------


def _first(records: list[Record], kind: str) -> Record:
    return next(record for record in records if record["kind"] == kind)


def _without(records: list[Record], kind: str) -> list[Record]:
    records.remove(_first(records, kind))
    return records


def _late(records: list[Record]) -> list[Record]:
    _first(records, "intent")["mono"] += 10**15
    return records


def _of_other_bytes(records: list[Record]) -> list[Record]:
    _first(records, "intent")["out_mac"] = "h:1:" + "0" * 32
    return records


SPOILS: dict[str, Callable[[list[Record]], list[Record]]] = {
    "an intent is missing": lambda records: _without(records, "intent"),
    "an outcome is missing": lambda records: _without(records, "outcome"),
    "an outcome stands twice": lambda records: [*records, _first(records, "outcome")],
    "an intent stands twice": lambda records: [*records, _first(records, "intent")],
    "an intent came later": _late,
    "an intent is for other bytes": _of_other_bytes,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_proxy_that_breaks_the_promise_is_found_out(way: str, tmp_path: Path) -> None:
    found: list[Any] = []
    with victim(tmp_path, program=(str(SABOTAGED), way)) as stage:
        for number in (20, 21, 30, 31):
            asyncio.run(kill_once(stage, number))
            stage.start()
            if found := stage.promises():
                break
    assert found
