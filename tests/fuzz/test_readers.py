"""A bounded share of the fuzzing that `tests/fuzz/run.py` does for hours: same seed, same inputs."""

from __future__ import annotations

import re
from random import Random

import pytest

from tests.fuzz import mutate
from tests.fuzz.corpus import CORPUS, first, inputs
from tests.fuzz.targets import TARGETS, Finding

SEED = 20261122
ROUNDS = {
    "answer": 6000,
    "body": 4000,
    "forward": 3000,
    "members": 4000,
    "path": 6000,
    "request": 6000,
    "yaml": 1500,
}
LEAST_ACCEPTED = 0.02
"""A target that accepts next to nothing holds nothing."""
_LARGEST, _MOST = 4096, 400


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_no_known_input_is_a_finding(name: str) -> None:
    for data in inputs(name):
        TARGETS[name](data)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_no_mutation_of_a_known_input_is_a_finding(name: str) -> None:
    random, accepted = Random(SEED), 0
    known = (first(name), inputs(name))
    for number in range(ROUNDS[name]):
        data = mutate.input_of(name, random, random.choice(known[number % 2]))[:_LARGEST]
        try:
            accepted += TARGETS[name](data)
        except Exception as error:
            pytest.fail(f"{error!r} for {data!r}")
    assert accepted > ROUNDS[name] * LEAST_ACCEPTED


def test_the_corpus_stays_small() -> None:
    kept = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert len(kept) <= _MOST
    assert all(path.stat().st_size <= _LARGEST for path in kept)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_same_seed_gives_the_same_inputs(name: str) -> None:
    known = inputs(name)
    once, again = Random(1), Random(1)
    assert [mutate.input_of(name, once, known[0]) for _ in range(50)] == [
        mutate.input_of(name, again, known[0]) for _ in range(50)
    ]


def test_a_framing_that_reads_on_over_odd_bytes_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer target catches a framing that takes a bare LF for the end of a chunk's line."""
    monkeypatch.setattr("proxy.chunks._SIZE", re.compile(rb"([0-9A-Fa-f]+)(?:;[^\n]*)?\n"))
    with pytest.raises(Finding):
        TARGETS["answer"](b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;\x00\na\r\n0\n\r\n")


def test_a_lenient_reader_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The body target catches a reader that takes the last of two equal keys."""
    from jiter import from_json

    from tests.fuzz import targets

    monkeypatch.setattr(targets, "parse", lambda data: from_json(data))
    random, known = Random(SEED), inputs("body")
    with pytest.raises((Finding, ValueError)):
        for _ in range(2000):
            try:
                targets.body(mutate.duplicate_member(random, random.choice(known)))
            except ValueError:
                continue
