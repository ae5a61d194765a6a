"""The effect tables that ship: sourced, dated, worded for a refusal, and loud about what is unknown."""

import re
from typing import Any

import pytest

from proxy.core.effects import compile_effects
from proxy.core.values import Signal
from tests.tables.reading import EFFECTS, files

FILES = files(EFFECTS)
ROWS = [(name, row, about) for name, file in FILES.items() for row, about in file.get("rows", {}).items()]
FACTS = [(name, row, about) for name, file in FILES.items() for row, about in file.get("facts", {}).items()]
IDS = [f"{name}: {row}" for name, row, _ in ROWS]


def test_the_tables_compile() -> None:
    assert len(compile_effects(*FILES.values()).rows) == len(ROWS) > 100


@pytest.mark.parametrize(("name", "row", "about"), ROWS, ids=IDS)
def test_a_feature_is_a_fragment_that_fits_into_a_refusal(name: str, row: str, about: Any) -> None:
    feature = about["feature"]
    assert 8 < len(feature) < 90
    assert not feature.endswith(".")
    assert not re.match(r"[A-Z][a-z]", feature), "it stands within a sentence"


@pytest.mark.parametrize(("name", "row", "about"), [*ROWS, *FACTS], ids=[*IDS, *(row for _, row, _ in FACTS)])
def test_every_row_names_sources_with_addresses_and_a_date(name: str, row: str, about: Any) -> None:
    assert about["sources"]
    for source in about["sources"]:
        assert FILES[name]["sources"][source]["url"].startswith("https://")
        assert FILES[name]["sources"][source]["what"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", about["seen"])
    assert about["confidence"]


def test_no_row_or_fact_stands_twice() -> None:
    names = [row for _, row, _ in [*ROWS, *FACTS]]
    assert len(names) == len(set(names))


def test_every_signal_that_a_body_can_raise_has_a_row() -> None:
    raised = {signal for _, _, about in ROWS for signal in about["signals"]}
    elsewhere = {Signal.ABUSE_LOG, Signal.TRAINING, Signal.UNKNOWN_MEMBER}  # routes, and members.unknown
    assert {signal.value for signal in Signal} - raised == {signal.value for signal in elsewhere}


@pytest.mark.parametrize("row", ["oai.responses.store_default", "g.interactions.store", "opper.media.store"])
def test_silent_defaults_that_store_are_undone_by_store_false(row: str) -> None:
    (about,) = [about for _, name, about in ROWS if name == row]
    assert about["when"]["op"].startswith("absent_or_")
    assert about["undo"] == [{"set": "match", "to": False}]
