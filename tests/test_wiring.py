"""The parts are put together once, from settings, and a start that cannot be safe does not happen."""

from __future__ import annotations

import io
from importlib import metadata
from pathlib import Path

import pytest

from proxy import wiring
from proxy.core.errors import JournalUnavailable, Mistake, Mistakes
from proxy.shares import Shares, lay_out, shares_file
from proxy.sources import Quarantine
from tests.assembled import MISSION_KEY, assembled, settings_in
from tests.journal import kit
from tests.running import UPSTREAM_KEY, _adopt

GATEWAY = "http://127.0.0.1:9"


def test_records_name_the_program_by_its_released_version() -> None:
    assert wiring.version() == f"ringfence/{metadata.version('ringfence')}"


async def test_a_start_leaves_a_log_that_says_what_is_in_force(tmp_path: Path) -> None:
    async with assembled(tmp_path) as stand:
        records = await stand.records()
    assert [record["kind"] for record in records[:3]] == ["open", "policy_load", "catalog_load"]
    assert records[0]["reason"] == "first"
    assert kit.verified(tmp_path / "data") == 0


async def test_what_is_loaded_is_counted_and_logged_with_file_and_line(
    tmp_path: Path, log_lines: io.StringIO
) -> None:
    async with assembled(tmp_path) as stand:
        stand.write("policies/open.yaml", "policy: open\nbecuase: x\n")
        counted = stand.assembly.metrics.text().decode()
    assert 'ringfence_loads_total{result="refused",what="policies"} 1.0' in counted
    said = log_lines.getvalue()
    assert "revision_active" in said
    assert "revision_refused" in said
    assert "open.yaml" in said


async def test_a_second_writer_of_the_same_log_does_not_start(tmp_path: Path) -> None:
    async with assembled(tmp_path) as stand:
        with pytest.raises(JournalUnavailable, match="another process"):
            wiring.assemble(stand.assembly.settings)


async def test_without_a_policy_nothing_starts(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, GATEWAY, policies={})
    with pytest.raises(Mistakes):
        wiring.assemble(settings)


async def test_without_a_gateway_key_nothing_starts(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, GATEWAY)
    (tmp_path / "gateway.key").unlink()
    with pytest.raises((Mistake, Mistakes)):
        wiring.assemble(settings)


async def test_projects_have_their_own_gateway_key_or_the_common_one(tmp_path: Path) -> None:
    own = {"gateway": {"projects": {"mission": {"api_key_file": "mission.key"}}}}
    async with assembled(tmp_path, config=own) as stand:
        keys = stand.pipeline._parts.forward._upstream.keys
        assert keys == {"": UPSTREAM_KEY.encode(), "mission": MISSION_KEY.encode()}


def test_workers_share_their_counts_only_where_there_is_something_to_share(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, GATEWAY)
    assert wiring._shares(settings, "w0") is None
    several = settings.model_copy(update={"workers": 3})
    lay_out(shares_file(settings.data_dir), len(settings.limits), 3)
    assert isinstance(wiring._shares(several, "w1"), Shares)
    assert wiring._shares(several.model_copy(update={"limits": {}}), "w1") is None


def test_sources_give_the_pepper_that_keys_are_hashed_under(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, GATEWAY)
    keys = _adopt(tmp_path)
    sources, pepper = wiring.read_sources(settings, Quarantine(settings.data_dir))
    assert pepper == settings.pepper_file.read_bytes().strip()
    assert {c.project for c in sources.read().callers.entries.values()} == set(keys)
