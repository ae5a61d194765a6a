"""Each step leaves one record: what was asked, by whom, what was decided, and nothing of the content."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.core.record_schema import faults
from proxy.journal import load_pseudonyms
from proxy.simulator import Fault
from tests.assembled import ATLAS, TRAINS, Stand, assembled, chat
from tests.running import POLICIES

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ANSWER = {"model": "atlas-1", "input": "hello"}


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    limits = {"project:limited": {"monthly_spend_usd": 0.0001, "soft_alert": 0.5}}
    async with assembled(tmp_path, config={"limits": limits}) as stand:
        yield stand


async def traced(stand: Stand, value: str) -> dict[str, Any]:
    await stand.ask(headers={"traceparent": value})
    return await stand.last("intent")


async def test_every_record_fits_the_schema_that_readers_check(stand: Stand) -> None:
    await stand.ask()
    await stand.ask(ANSWER, project="mission", path="/v1/responses")
    await stand.ask(chat(TRAINS, tools=[{"type": "function", "function": {"name": "f"}}], nonsense=1))
    await stand.ask(b"{", project="alone")
    await stand.ask(project="")
    await stand.ask({"model": "example-us/easel-1", "prompt": "x"}, path="/v1/images/generations")
    stand.simulator.faults.add(Fault("served", provider="example-open", model="meadow-1"))
    await stand.ask()
    stand.write("policies/broken.yaml", "policy: [")
    records = await stand.records()
    assert {record["kind"] for record in records} >= {
        "open", "policy_load", "catalog_load", "intent", "outcome", "refusal", "reject",
    }  # fmt: skip
    assert [found for record in records if (found := faults(record))] == []


async def test_an_intent_says_who_asked_for_what_and_where_it_goes(stand: Stand) -> None:
    answer = await stand.ask(chat("atlas-1", stream=True), project="mission")
    intent = await stand.last("intent")
    revision = stand.assembly.revisions.current
    caller = next(c for c in revision.callers.entries.values() if c.project == "mission")
    assert (intent["rid"], intent["project"], intent["key_id"]) == (answer.rid, "mission", caller.key_id)
    assert (intent["op"], intent["dialect"], intent["stream"]) == ("chat.completions", "openai", True)
    assert (intent["model_req"], intent["model_fwd"]) == ("atlas-1", ATLAS)
    assert intent["host"] == stand.simulator.base_url.removeprefix("http://")
    assert (intent["revision"], intent["tables"]) == (revision.digest, revision.facts.digest)
    assert intent["catalog"]["digest"] == revision.catalogue.digest
    assert [policy["id"] for policy in intent["policy"]] == ["us-zdr-no-training"]


async def test_commitments_are_to_the_bytes_that_came_and_to_those_that_left(stand: Stand) -> None:
    pseudonyms = load_pseudonyms(stand.folder / "data" / "audit" / "pseudonym.key")
    raw = stand.raw(ANSWER, project="mission", path="/v1/responses")
    await stand.serve(raw)
    changed = await stand.last("intent")
    assert changed["in_mac"] == pseudonyms.body(raw.body)
    assert changed["out_mac"] == pseudonyms.body(stand.seen[0].body) != changed["in_mac"]
    assert (changed["in_len"], changed["out_len"]) == (len(raw.body), len(stand.seen[0].body))
    await stand.ask()
    same = await stand.last("intent")
    assert same["out_mac"] == same["in_mac"]


async def test_a_refusal_tells_findings_and_reason_but_no_route_to_go_to(stand: Stand) -> None:
    await stand.ask(chat(TRAINS))
    refusal = await stand.last("refusal")
    assert (refusal["effect"], refusal["reason"]) == ("deny", "requirement_unmet")
    assert any(rule["outcome"] == "unmet" and rule["about"] == "training" for rule in refusal["rules"])
    assert not refusal.keys() & {"route_row", "changes", "out_mac", "host"}


async def test_addresses_stand_as_pseudonyms_that_one_key_makes(stand: Stand) -> None:
    await stand.ask()
    await stand.ask(project="")
    pseudonyms = load_pseudonyms(stand.folder / "data" / "audit" / "pseudonym.key")
    assert (await stand.last("intent"))["peer"] == pseudonyms.person("127.0.0.1")
    assert (await stand.last("reject"))["peer"] == pseudonyms.person("127.0.0.1")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN)),
        (f"00-{TRACE}-{'0' * 16}-01", (TRACE, None)),
        (f"00-{'0' * 32}-{SPAN}-01", (None, None)),
        ("00-kanarie-kanarie-01", (None, None)),
        ("kanarie", (None, None)),
        (f"00-{TRACE}-{SPAN}-01-more", (None, None)),
    ],
)
async def test_only_a_valid_trace_is_taken_over(
    value: str, kept: tuple[str | None, str | None], stand: Stand
) -> None:
    intent = await traced(stand, value)
    assert (intent.get("trace"), intent.get("span")) == kept
    assert "kanarie" not in json.dumps(intent)


async def test_a_translation_is_named(stand: Stand) -> None:
    answer = await stand.ask({"model": "example-us/easel-1", "prompt": "x"}, path="/v1/images/generations")
    assert answer.status == 200
    assert (await stand.last("intent"))["translation"]
    await stand.ask()
    assert "translation" not in await stand.last("intent")


async def test_what_decisions_rest_on_is_recorded_before_the_first_of_them(stand: Stand) -> None:
    await stand.ask()
    stand.write("policies/open.yaml", POLICIES["open"].replace("Nothing", "No word"))
    await stand.ask()
    records = await stand.records()
    loaded = {r["revision"]: n for n, r in reversed(list(enumerate(records))) if r["kind"] == "policy_load"}
    intents = [(n, record) for n, record in enumerate(records) if record["kind"] == "intent"]
    assert len({record["revision"] for _, record in intents}) == 2
    for n, record in intents:
        assert loaded[record["revision"]] < n
        known = {each["id"]: each["digest"] for each in records[loaded[record["revision"]]]["policy"]}
        assert all(known[each["id"]] == each["digest"] for each in record["policy"])


async def test_a_new_catalogue_is_recorded_with_what_became_worse_or_better(stand: Stand) -> None:
    before = len(await stand.records("catalog_load"))
    for row in stand.simulator.rows.rows:
        if row["id"] == ATLAS:
            row["route"]["data_handling"]["training"] = True
            row["compliance"]["training"] = True
    stand.simulator.rows.rows = [r for r in stand.simulator.rows.rows if r["id"] != "example-us/solo-1"]
    await stand.sync()
    load = (await stand.records("catalog_load"))[before:][-1]
    assert (load["changes"]["worse"], load["changes"]["gone"]) == (1, 1)
    assert load["catalog"]["digest"] == stand.assembly.revisions.current.catalogue.digest
    assert load["routes"] == len(stand.simulator.rows.rows)


async def test_files_that_cannot_be_taken_over_are_recorded_beside_the_revision_that_stays(
    stand: Stand,
) -> None:
    stays = stand.assembly.revisions.current.digest
    stand.write("policies/broken.yaml", "policy: x\nbecuase: why\nrequire: {training: maybe}\n")
    load = await stand.last("policy_load")
    assert (load["ok"], load["reason"], load["revision"]) == (False, "unreadable_files", stays)
    assert load["mistakes"] == len(stand.assembly.revisions.mistakes) > 1


async def test_a_budget_that_is_nearly_used_up_is_said_once(log_lines: io.StringIO, stand: Stand) -> None:
    assert [(await stand.ask(project="limited")).status for _ in range(3)] == [200, 200, 429]
    assert log_lines.getvalue().count("spend_alert") == 1
