"""Every builder fits the closed schema, no chosen string shows, and the byte form is canonical."""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core import record, record_life
from proxy.core.record_schema import ENDS, KINDS, MAX_BYTES, faults
from proxy.core.values import (
    Basis,
    Call,
    Caller,
    Claim,
    Decision,
    Digest,
    Edit,
    Effect,
    Finding,
    Outcome,
    PolicyId,
    PolicyRef,
    Route,
    RouteId,
    Signal,
    Usage,
)

AT = datetime(2026, 3, 1, 12, 30, 0, 42, tzinfo=UTC)
DIGEST = Digest("sha256:" + "d" * 64)
RID = "01890000-0000-7000-8000-000000000001"
LOG = "example/r0/w0/000001"
KNOWN = frozenset({"openai/gpt-image-1", "gpt-image-1", "openai"})
GROUNDS = record.Grounds(DIGEST, DIGEST, DIGEST, AT - timedelta(hours=2), KNOWN)
CALLER = Caller("acme", "design", "k-7", (PolicyId("us-only"),))
STAMP = record.Stamp("01890000-0000-7000-8000-00000000000e", AT, 1234567, "0b00")
SECRET = record.Pseudonyms(b"a secret of at least 16 bytes")
SEEN = record.Seen(
    RID, "POST", 18, SECRET.body(b"x" * 18), "/v1/images/generations", SECRET.person("10.0.0.9")
)
SENT = record.Sent(18, SECRET.body(b"x" * 18), "openai/gpt-image-1", "api.example")
CANARY = "canary-5f1e"


def recorder() -> record.Recorder:
    return record.Recorder(SECRET, "0.1.0")


def finding(**changes) -> Finding:
    fields = {
        "policy": PolicyId("us-only"),
        "dimension": "training",
        "outcome": Outcome.MET,
        "asked": "forbidden",
        "claimed": "no training on customer data",
        "basis": Basis.CATALOGUE,
        "source": "catalogue",
        "route": "openai/gpt-image-1",
    }
    return Finding(**{**fields, **changes})


def route(**claims: Claim) -> Route:
    posture = {"training": Claim("none", Basis.CATALOGUE, "none", "catalogue", AT), **claims}
    return Route(RouteId("openai/gpt-image-1"), "openai", "gpt-image-1", "image", posture, verified_at=AT)


def call(*models: str, effects: tuple[Effect, ...] = ()) -> Call:
    return Call("images.generate", "openai", models or ("gpt-image-1",), False, effects)


def decision(allowed: bool = True, **changes) -> Decision:
    fields = {
        "allowed": allowed,
        "reason": "allowed" if allowed else "requirement_unmet",
        "route": route() if allowed else None,
        "findings": (finding(),),
        "edits": (),
        "rewrites": (),
        "policies": (PolicyRef(PolicyId("us-only"), DIGEST),),
    }
    return Decision(**{**fields, **changes})


VERDICT = decision()


def intent_of(judged: record.Judged, **changes) -> record.Draft:
    return recorder().intent(judged, changes.get("seen", SEEN), sent=SENT, stamp=STAMP)


def allowed(**changes) -> record.Judged:
    return record.Judged(
        GROUNDS, CALLER, changes.pop("call", call()), changes.pop("decision", None) or decision(**changes)
    )


def sealed(draft: record.Draft) -> dict:
    body = record.seal(draft, LOG, 0, record.FIRST_PREV)
    decoded: dict = orjson.loads(body)
    assert faults(decoded) == []
    return decoded


PREVIOUS = record.Previous("example/r0/w0/000000", 9, b"\x01" * 32, 7, "prev of record 7 does not fit")
ONE_OF_EACH = {
    "intent": intent_of(allowed()),
    "refusal": recorder().refusal(
        record.Judged(GROUNDS, CALLER, call(), decision(False)), SEEN, reason="requirement_unmet", stamp=STAMP
    ),
    "reject": record.reject(STAMP, "unknown_key", peer=SECRET.person("10.0.0.9"), in_len=12),
    "outcome": recorder().outcome(
        record.Ended(
            RID, "complete", project="design", status=200, up_status=200, served_model="openai/gpt-image-1",
            served_provider="openai", verdict="confirmed", usage=Usage(3, 4, 5, "resp_1"), ttfb_us=1,
            dur_us=2, sent_bytes=3,
        ),
        known=KNOWN,
        stamp=STAMP,
    ),
    "policy_load": record.policy_load(STAMP, [PolicyRef(PolicyId("us-only"), DIGEST)], revision=DIGEST),
    "catalog_load": record.catalog_load(
        STAMP, digest=DIGEST, age_s=3, routes=80, changes={"worse": 1, "gone": 0}, revision=DIGEST
    ),
    "open": record.opened(STAMP, engine="0.1.0", reason="damaged", previous=PREVIOUS, recovered=2),
    "close": record.closed(STAMP, reason="shutdown"),
    "heartbeat": record.heartbeat(STAMP),
    "gap": record.gap(STAMP, {"intent": 3, "refusal": 0}, first=AT, last=AT, reason="disk_full"),
    "clock_step": record.clock_step(STAMP, step_us=-7_200_000_000),
    "key_rotate": record.key_rotate(STAMP, key="signing", old="0a1b2c3d", new="4e5f6a7b"),
    "erasure": record.erasure(STAMP, key="h:1", scope="acme", authority="dpo"),
    "export": record.export(STAMP, form="jsonl", from_seq=0, to_seq=9, authority="auditor"),
    "prune": record.prune(
        STAMP, record_life.Final(LOG, 9, b"\x01" * 32, "2025-01-01T00:00:00.000000Z", 8), keep_s=34_560_000
    ),
}  # fmt: skip


def test_there_is_a_builder_for_every_kind_of_the_schema():
    assert ONE_OF_EACH.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_what_a_builder_makes_fits_the_schema(kind):
    assert sealed(ONE_OF_EACH[kind])["kind"] == kind


@pytest.mark.parametrize(
    "draft",
    [
        record.crashed(STAMP, rid=RID, attempt=2, project="design", intent=(LOG, 4)),
        record.not_sent(STAMP, rid=RID, attempt=1, project=""),
        record.rejects(STAMP, "unknown_key", 40, first=AT, last=AT),
        record.policy_load(STAMP, [], reason="unreadable", mistakes=3),
        record.catalog_load(STAMP, digest="", age_s=0, routes=0, reason="upstream_unreachable"),
        record.opened(STAMP, engine="0.1.0", reason="first"),
        recorder().refusal(record.Judged(GROUNDS, CALLER), SEEN, reason="duplicate_key", stamp=STAMP),
        recorder().refusal(record.Judged(GROUNDS), record.Seen(RID, "BREW", 0), reason="x", stamp=STAMP),
        *(recorder().outcome(record.Ended(RID, end), known=(), stamp=STAMP) for end in ENDS),
    ],
)
def test_the_lesser_forms_fit_too(draft):
    sealed(draft)


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_old_records_stay_readable(kind):
    """The golden lines were written by version 1 and are never rewritten."""
    path = Path(__file__).parents[1] / "vectors/records_v1.jsonl"
    lines = {orjson.loads(line)["kind"]: line for line in path.read_bytes().splitlines()}
    assert faults(orjson.loads(lines[kind])) == []
    assert orjson.dumps(orjson.loads(lines[kind]), option=orjson.OPT_SORT_KEYS) == lines[kind]


@pytest.mark.parametrize("kind", ONE_OF_EACH)
@given(data=st.data())
@settings(max_examples=40)
def test_the_schema_is_closed_for_every_kind(kind, data):
    good = sealed(ONE_OF_EACH[kind])
    name = data.draw(st.sampled_from(sorted(good)))
    wrong = data.draw(st.sampled_from([None, 1.5, -(1 << 60), 1 << 53, {"prompt": "x"}, ["x" * 400]]))
    assert faults({**good, name: wrong})
    assert faults({**good, "prompt": "tell me"}) == ["'prompt' is not a field of this kind"]
    if name in ("v", "kind", "log", "seq", "prev", "eid", "t", "mono", "boot"):
        assert faults({key: value for key, value in good.items() if key != name})


def test_a_boolean_is_no_number_and_a_number_no_boolean():
    good = sealed(ONE_OF_EACH["outcome"])
    assert faults({**good, "status": True}) == ["status is not of its form"]
    assert faults({**sealed(ONE_OF_EACH["intent"]), "stream": 1}) == ["stream is not of its form"]


@pytest.mark.parametrize("thing", [None, [], "record", 7, {}, {"v": 2}, {"v": 1, "kind": "prompt"}])
def test_what_is_no_record_of_a_known_version_is_a_fault(thing):
    assert faults(thing)


# -- canonical bytes -------------------------------------------------------------------------------


@given(st.text(max_size=40), st.integers(0, (1 << 53) - 1))
def test_the_bytes_are_those_of_the_standard_librarys_sorted_compact_form(text, number):
    draft = {**ONE_OF_EACH["heartbeat"], "texts": [text], "number": number}
    body = record.seal(draft, LOG, 3, "a" * 64)
    expected = {**draft, "log": LOG, "seq": 3, "prev": "a" * 64}
    # RFC 8785 writes U+007F and all other non-control characters as they are, as does this form.
    assert body == json.dumps(expected, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "value",
    ["\ud800", 1 << 53, b"bytes", AT, SEEN, {1: 2}, {"a": {"b": [object()]}}],
    ids=["surrogate", "huge", "bytes", "datetime", "dataclass", "key", "object"],
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(ValueError, match="without a canonical form"):
        record.seal({**ONE_OF_EACH["heartbeat"], "x": value}, LOG, 0, record.FIRST_PREV)


def test_a_record_beyond_the_limit_is_refused():
    with pytest.raises(ValueError, match="larger than"):
        record.seal({"x": "y" * MAX_BYTES}, LOG, 0, record.FIRST_PREV)


def test_times_are_utc_with_microseconds_whatever_zone_they_came_in():
    from datetime import timezone

    local = AT.astimezone(timezone(timedelta(hours=-5)))
    draft = record.heartbeat(record.Stamp(STAMP.eid, local, 1, "0b00"))
    assert draft["t"] == "2026-03-01T12:30:00.000042Z"


# -- nothing that the other side chose -------------------------------------------------------------


def test_a_model_of_the_catalogue_stands_in_words_and_any_other_as_length_and_mac():
    held = sealed(intent_of(allowed(call=call("gpt-image-1", CANARY))))
    assert held["model_req"] == "gpt-image-1"
    assert held["models_also"] == [SECRET.sealed(CANARY)]
    other = sealed(
        recorder().refusal(
            record.Judged(GROUNDS, CALLER, call(CANARY)), SEEN, reason="unknown_model", stamp=STAMP
        )
    )
    assert other["model_req"] == {"len": len(CANARY), "mac": SECRET.sealed(CANARY)["mac"]}
    assert "model_req" in other["masked"]


chosen_strings = st.text(min_size=1, max_size=12).map(lambda text: CANARY + text)


@given(chosen_strings, st.booleans())
@settings(max_examples=60)
def test_no_string_that_the_sender_or_the_gateway_chose_is_in_any_record(chosen, allow):
    member = Effect(
        "unknown_member", (Signal.UNKNOWN_MEMBER,), "metadata.*", "an unknown member",
        (Edit(("messages", 0, chosen), "remove"),),
    )  # fmt: skip
    judged = record.Judged(
        GROUNDS,
        CALLER,
        call(chosen, "gpt-image-1", chosen, effects=(member,)),
        decision(
            allow,
            edits=member.edits if allow else (),
            findings=(
                finding(dimension="features.unknown_member", claimed=f"the member {chosen!r}"),
                finding(route=chosen, outcome=Outcome.UNKNOWN),
            ),
        ),
    )
    seen = record.Seen(RID, chosen, 3, SECRET.body(chosen.encode("utf-8", "surrogatepass")), "",
                       SECRET.person(chosen), SECRET.person(chosen), trace=chosen, span=chosen)  # fmt: skip
    ended = record.Ended(RID, "complete", served_model=chosen, served_provider=chosen,
                         usage=Usage(upstream_id=f"{chosen} \n"))  # fmt: skip
    drafts = [
        intent_of(judged, seen=seen) if allow else None,
        recorder().refusal(judged, seen, reason="unknown_model", stamp=STAMP),
        recorder().outcome(ended, known=KNOWN, stamp=STAMP),
    ]
    for draft in drafts:
        if draft is not None:
            sealed(draft)
            assert CANARY.encode() not in record.seal(draft, LOG, 0, record.FIRST_PREV)


def test_only_an_intent_that_more_than_one_route_may_serve_says_which():
    sent = SENT._replace(also=(RouteId("example/spare-1"),))
    held = sealed(recorder().intent(allowed(), SEEN, sent=sent, stamp=STAMP))
    usual = sealed(intent_of(allowed()))
    assert held == {**usual, "routes_also": ["example/spare-1"]}
    assert "routes_also" not in KINDS["refusal"][1]


def test_two_names_of_ours_that_the_gateway_gave_stand_in_words_and_anything_beside_them_seals_both():
    def said(model: str) -> object:
        ended = record.Ended(RID, "served_mismatch", served_model=model, verdict="mismatch")
        return sealed(recorder().outcome(ended, known=KNOWN, stamp=STAMP))["model_srv"]

    assert said("gpt-image-1, openai") == "gpt-image-1, openai"
    for other in (
        f"gpt-image-1, {CANARY}",
        "gpt-image-1,openai",
        "gpt-image-1, ",
        ", ".join(["openai"] * 40),
    ):
        assert said(other) == SECRET.sealed(other)


def test_a_member_of_our_tables_is_named_when_it_is_changed_and_its_value_never():
    stored = Effect("store", (Signal.APP_STATE,), "store", "x", (Edit(("store",), "set", CANARY),))
    edits = (*stored.edits, Edit(("model",), "set", "openai/gpt-image-1"))
    held = sealed(intent_of(allowed(call=call(effects=(stored,)), edits=edits)))
    assert held["changes"] == ["set /store", "set /model"]


def test_an_upstream_id_of_ordinary_form_is_kept_and_a_sentence_is_not():
    def up_id(text: str) -> object:
        ended = record.Ended(RID, "complete", usage=Usage(upstream_id=text))
        return sealed(recorder().outcome(ended, known=(), stamp=STAMP))["up_id"]

    assert up_id("chatcmpl-9ZxYw:1.2") == "chatcmpl-9ZxYw:1.2"
    assert up_id("you said hello") == SECRET.sealed("you said hello")


@given(st.integers())
def test_a_usage_that_no_record_can_hold_does_not_cost_the_outcome(number):
    ended = record.Ended(RID, "complete", usage=Usage(number, number, number))
    held = sealed(recorder().outcome(ended, known=(), stamp=STAMP))
    assert held.get("tok_in") == (number if 0 <= number < 1 << 53 else None)


@pytest.mark.parametrize(
    ("trace", "span", "kept"),
    [
        ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", {"trace", "span"}),
        ("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 16, {"trace"}),
        ("0" * 32, "00f067aa0ba902b7", set()),
        ("4BF92F3577B34DA6A3CE929D0E0E4736", "00f067aa0ba902b7", set()),
        ("4bf92f3577b34da6a3ce929d0e0e4736\n", "", set()),
    ],
)
def test_only_valid_trace_ids_are_kept(trace, span, kept):
    seen = record.Seen(RID, "POST", 1, SECRET.body(b"x"), trace=trace, span=span)
    assert {"trace", "span"} & sealed(intent_of(allowed(), seen=seen)).keys() == kept


# -- size and what is left out ---------------------------------------------------------------------


@given(
    st.integers(0, 400), st.integers(0, 400), st.sampled_from(["x", "\u00e9", "\U0001f512", '"\\', "\x01"])
)
@settings(max_examples=40, deadline=None)
def test_no_flood_of_findings_and_features_makes_a_record_too_large(findings, features, letter):
    long = letter * 300
    flood = tuple(
        finding(asked=long, claimed=long, source=long, outcome=Outcome.UNMET) for _ in range(findings)
    )
    effects = tuple(Effect(f"row-{n}", (Signal.CACHE,), long, long) for n in range(features))
    refs = tuple(PolicyRef(PolicyId(f"policy-{n}"), DIGEST) for n in range(60))
    judged = record.Judged(
        GROUNDS, CALLER, call(*["gpt-image-1"] * 40, effects=effects),
        decision(findings=flood, policies=refs, route=route(dpa=Claim(long, Basis.ATTESTATION, long, "x"))),
    )  # fmt: skip
    also = tuple(RouteId(f"provider-{n}/" + "x" * 240) for n in range(40))
    held = sealed(recorder().intent(judged, SEEN, sent=SENT._replace(also=also), stamp=STAMP))
    assert len(held["routes_also"]) + held["routes_left"] == 40
    assert len(held["rules"]) + held.get("rules_left", 0) == findings
    assert len(held.get("features", [])) + held.get("features_left", 0) == features
    assert len(held["policy"]) + held["policy_left"] == 60
    assert len(held["models_also"]) + held["models_left"] == 39


def test_the_findings_that_decided_come_first():
    met = [finding(dimension=f"dim{n}", source="s" * 110) for n in range(60)]
    held = sealed(
        recorder().refusal(
            record.Judged(GROUNDS, CALLER, call(),
                          decision(False, findings=(*met, finding(outcome=Outcome.UNMET)))),
            SEEN, reason="requirement_unmet", stamp=STAMP,
        )
    )  # fmt: skip
    assert held["rules"][0]["outcome"] == "unmet"
    assert held["rules_left"] > 0


def test_an_equal_decision_is_not_taken_for_a_remembered_one():
    """The memory is by identity: a fresh decision has its own fields even at a recycled address."""
    keeper = recorder()
    for number in range(3000):
        made = decision(reason=f"allowed_{number}")
        draft = keeper.intent(record.Judged(GROUNDS, CALLER, call(), made), SEEN, sent=SENT, stamp=STAMP)
        assert draft["reason"] == f"allowed_{number}"
        del made


@pytest.mark.parametrize(
    "other",
    [
        record.Judged(GROUNDS, Caller("other", "other", "other"), call(), VERDICT),
        record.Judged(GROUNDS, CALLER, call("another-model"), VERDICT),
        record.Judged(GROUNDS, CALLER, replace(call(), stream=True), VERDICT),
        record.Judged(GROUNDS, CALLER, replace(call(), agent="codex"), VERDICT),
        record.Judged(GROUNDS, CALLER, call(effects=(Effect("row", (Signal.CACHE,), "/x", "x"),)), VERDICT),
        record.Judged(replace(GROUNDS, revision=Digest("sha256:" + "1" * 64)), CALLER, call(), VERDICT),
        record.Judged(GROUNDS, CALLER, None, VERDICT),
    ],
)
def test_whatever_a_record_rests_on_besides_its_decision_is_its_own(other):
    """What is remembered of a decision is as good as new, for every request that shares it."""
    keeper, first = recorder(), record.Judged(GROUNDS, CALLER, call(), VERDICT)
    for judged in (first, other, first, other):
        kept = keeper.refusal(judged, SEEN, reason="served_mismatch", stamp=STAMP)
        fresh = recorder().refusal(judged, SEEN, reason="served_mismatch", stamp=STAMP)
        assert record.seal(kept, LOG, 0, "0") == record.seal(fresh, LOG, 0, "0")


def test_what_is_remembered_is_forgotten_with_the_revision_that_it_rests_on():
    """A proxy whose files change often must not hold on to all that they once said."""
    keeper = recorder()

    def tell(reason: str) -> None:
        judged = record.Judged(replace(GROUNDS), CALLER, call(), decision(reason=reason))
        keeper.refusal(judged, SEEN, reason="served_mismatch", stamp=STAMP)

    def alive() -> set[str]:
        gc.collect()
        return {each.reason for each in gc.get_objects() if isinstance(each, Decision)} & {"first", "second"}

    tell("first")
    assert alive() == {"first"}
    tell("second")
    assert alive() == {"second"}


def test_a_remembered_decision_does_not_carry_one_request_into_the_next():
    keeper, verdict = recorder(), decision()
    first = keeper.intent(record.Judged(GROUNDS, CALLER, call(), verdict), SEEN, sent=SENT, stamp=STAMP)
    other = record.Judged(GROUNDS, Caller("other", "other", "other"), call(), verdict)
    keeper.refusal(other, record.Seen("another", "GET", 1), reason="served_mismatch", stamp=STAMP)
    again = keeper.intent(record.Judged(GROUNDS, CALLER, call(), verdict), SEEN, sent=SENT, stamp=STAMP)
    assert record.seal(first, LOG, 0, "0") == record.seal(again, LOG, 0, "0")


_STORED = Effect("store", (Signal.APP_STATE,), "store", "x", (Edit(("store",), "set", False),))
_UNKNOWN = Effect(
    "unknown_member", (Signal.UNKNOWN_MEMBER,), "metadata.*", "x", (Edit(("secret",), "remove"),)
)
_VERDICTS = (decision(), decision(edits=_STORED.edits + _UNKNOWN.edits), decision(False))
judgements = st.builds(
    record.Judged,
    st.sampled_from([GROUNDS, record.Grounds(Digest("r"), DIGEST, DIGEST, AT, frozenset())]),
    st.sampled_from([CALLER, Caller("acme", "design", "k-8"), Caller("acme", "else", "k-7")]),
    st.builds(
        Call,
        st.sampled_from(["chat.completions", "embeddings"]),
        st.sampled_from(["openai", "google"]),
        st.sampled_from([(), ("gpt-image-1",), ("openai",), (CANARY,), ("gpt-image-1", CANARY)]),
        st.booleans(),
        st.sampled_from([(), (_STORED,), (_UNKNOWN,), (_UNKNOWN, _STORED)]),
        agent=st.sampled_from(["other", "openai-python"]),
        repeats=st.sampled_from([(), (("secret",),)]),
    ),
    st.sampled_from(_VERDICTS),
)


@given(st.lists(judgements, max_size=12))
@settings(max_examples=60)
def test_a_record_is_the_same_whatever_the_recorder_remembers(asked):
    keeper = recorder()
    for judged in asked:
        after, alone = (
            each.intent(judged, SEEN, sent=SENT, stamp=STAMP)
            if judged.decision.allowed
            else each.refusal(judged, SEEN, reason="requirement_unmet", stamp=STAMP)
            for each in (keeper, recorder())
        )
        assert record.seal(after, LOG, 0, "0") == record.seal(alone, LOG, 0, "0")


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(record, "_MOST_KEPT", 8)
    keeper = recorder()
    for _ in range(50):
        keeper.intent(allowed(), SEEN, sent=SENT, stamp=STAMP)
        assert len(keeper._kept) <= 8


def test_what_a_sender_made_large_is_written_down_and_not_remembered():
    edits = tuple(Edit(("input", number, CANARY * 10), "remove") for number in range(1000))
    large = Effect("unknown_member", (Signal.UNKNOWN_MEMBER,), "$", "x", edits)
    keeper = recorder()
    draft = keeper.refusal(
        record.Judged(GROUNDS, CALLER, call(effects=(large,)), decision(False)),
        SEEN, reason="unknown_member", stamp=STAMP,
    )  # fmt: skip
    assert draft["reason"] == "unknown_member"
    assert not keeper._kept
    keeper.intent(allowed(), SEEN, sent=SENT, stamp=STAMP)
    assert len(keeper._kept) == 1


@pytest.mark.parametrize(
    "judged",
    [
        record.Judged(GROUNDS, CALLER, call(), decision(False)),
        record.Judged(GROUNDS, CALLER, call()),
        record.Judged(GROUNDS, CALLER, None, decision()),
        record.Judged(GROUNDS, None, call(), decision()),
    ],
)
def test_nothing_but_an_allowed_call_of_a_known_caller_becomes_an_intent(judged):
    with pytest.raises(ValueError, match="only an allowed call"):
        intent_of(judged)


def test_the_age_of_the_catalogue_is_that_at_the_time_of_the_record():
    assert sealed(intent_of(allowed()))["catalog"] == {"digest": DIGEST, "age_s": 7200}


# -- pseudonyms ------------------------------------------------------------------------------------


@given(st.text(max_size=20), st.text(max_size=20))
def test_pseudonyms_are_equal_exactly_for_equal_inputs_under_one_secret(one, two):
    assert (SECRET.person(one) == SECRET.person(two)) == (one == two)
    assert record.Pseudonyms(b"another secret, as long").person(one) != SECRET.person(one)


def test_the_same_string_has_different_commitments_in_different_roles():
    values = {SECRET.person("x"), SECRET.body(b"x"), str(SECRET.sealed("x")["mac"])}
    assert len(values) == 3


def test_the_epoch_of_the_secret_is_in_every_value():
    assert record.Pseudonyms(b"a secret of at least 16 bytes", epoch=12).person("x").startswith("h:12:")


def test_a_short_secret_is_refused():
    with pytest.raises(ValueError, match="at least 16"):
        record.Pseudonyms(b"short")
