from datetime import UTC, datetime
from typing import Any

import pytest

from proxy.core.catalog import read_catalogue
from proxy.core.values import Route
from proxy.simulator import Rows
from proxy.simulator.answers import Refused
from proxy.simulator.rows import Served

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def rows() -> Any:
    return Rows(verified_at=AT)


def listing(rows: Any, *, keyed: Any = True, **query: Any) -> Any:
    return rows.listing({"limit": "0", **query}, keyed=keyed)


def test_real_rows_are_listed_without_our_notes_on_them(rows):
    row = next(each for each in listing(rows)["models"] if each["id"] == "openai/gpt-image-1")
    assert {"sources", "seen_on", "notes", "labels", "route"} & set(row) == set()
    assert row["compliance"]["third_party_access"] == "None disclosed"


def test_evidence_is_shown_only_when_asked_for_with_a_key(rows):
    def with_evidence(**more: Any) -> Any:
        return sum("route" in each for each in listing(rows, **more)["models"])

    assert with_evidence() == 0
    assert with_evidence(include="route", keyed=False) == 0
    assert with_evidence(include="maker,route") > 20


def test_the_policy_block_names_what_a_contract_gates(rows):
    found = {each["id"]: each["policy"] for each in listing(rows, include="policy")["models"]}
    assert found["example-us/vault-1"]["blocked_by"] == "entitlement"
    assert found["example-us/atlas-1"] == {"allowed": True}


def test_a_page_says_how_many_there_are(rows):
    everything = listing(rows)
    page = listing(rows, limit="2", offset="1")
    assert len(everything["models"]) == everything["total"] == page["total"]
    assert page["models"] == everything["models"][1:3]


def test_rows_can_be_filtered(rows):
    assert {each["type"] for each in listing(rows, type="image")["models"]} == {"image"}
    assert {each["provider"] for each in listing(rows, provider="azure-zdr")["models"]} == {"azure-zdr"}
    assert [each["id"] for each in listing(rows, q="VAULT")["models"]] == ["example-us/vault-1"]


def test_a_pool_is_served_by_its_members_in_turn(rows):
    served = {rows.resolve("atlas-1", ("llm",))["id"] for _ in range(8)}
    assert served == {
        "example-us/atlas-1",
        "example-eu/atlas-1",
        "example-open/atlas-1",
        "example-ww/atlas-1",
    }


def test_a_pin_an_alias_and_an_unpooled_row(rows):
    assert rows.resolve("example-eu/atlas-1", ("llm",))["id"] == "example-eu/atlas-1"
    assert rows.resolve("atlas-latest", ("llm",))["id"] == "example-us/atlas-1"
    assert rows.resolve("example-us/solo-1", ("llm",))["id"] == "example-us/solo-1"
    with pytest.raises(Refused) as refused:
        rows.resolve("solo-1", ("llm",))
    assert refused.value.status == 404


def test_a_patch_goes_inwards_and_a_reset_takes_it_back(rows):
    before = listing(rows, include="route")
    rows.patch("example-us/atlas-1", {"compliance": {"zdr": {"logging": True}}, "aliases": None})
    row = rows.resolve("example-us/atlas-1", ("llm",))
    assert (row["compliance"]["zdr"]["logging"], row["compliance"]["zdr"]["caching"]) == (True, False)
    assert "aliases" not in row
    rows.patch("example-us/brand-new", {"type": "llm"})
    rows.reset()
    assert listing(rows, include="route") == before


def test_the_cost_follows_the_rows_prices(rows):
    row = rows.resolve("example-us/atlas-1", ("llm",))
    assert Served(row, 1_000_000, 500_000).cost == 3.0
    assert Served(rows.resolve("example-us/easel-1", ("image",)), 0, 0, 3).cost == 0.03
    assert Served(rows.resolve("azure/gpt-5.5", ("llm",)), 1000, 1000).cost == 0


@pytest.mark.parametrize("agent_default", ["claude-opus-4-8", "gpt-6.1-sol", "claude-haiku-4-5"])
def test_what_agents_ask_for_by_default_is_a_pool_with_a_compliant_member(rows, agent_default):
    known = read_catalogue(listing(rows, include="route"), source="test", fetched_at=AT)
    pool: dict[str, Route] = {route.id: route for route in known.candidates(agent_default).routes}
    assert len(pool) >= 2
    good = pool[f"example-us/{agent_default}"].posture
    assert (good["training"].value, good["retention.abuse_logs"].words) == (
        "never",
        "no abuse monitoring keeps content",
    )
    assert [each for each in pool.values() if each.posture["training"].value != "never"]
