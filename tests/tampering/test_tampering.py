"""Whoever edits, drops, swaps, cuts or forges is found out, and the first bad record is named."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.cli._audit_files import exports_of
from proxy.cli._audit_verify import _verified
from proxy.core import tree, verify
from proxy.core.checkpoint import Checkpoint, Signer, VerifierKey, parse_note
from proxy.core.record import Draft, seal
from proxy.core.verify import Export, Report
from tests.journal import kit

Records = list[tuple[int, bytes]]
LOG = "ringfence/r0/w0/000001"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Three epochs of an honest writer: requests with outcomes, refusals, rejects."""
    folder: Path = tmp_path_factory.mktemp("honest")

    async def write() -> None:
        for _ in range(3):
            journal = kit.opened(folder, checkpoint_every=5, checkpoint_interval="1h")
            for _ in range(6):
                draft = kit.intent()
                await journal.append(draft)
                await journal.append(kit.outcome(str(draft["rid"])))
                await journal.append(kit.refusal())
                journal.note(kit.reject())
            await journal.close()

    asyncio.run(write())
    return folder


@pytest.fixture
def folder(written, tmp_path) -> Path:
    """A copy of it to tamper with."""
    copy: Path = shutil.copytree(written, tmp_path / "copy")
    return copy


def key_of(folder: Path) -> VerifierKey:
    return VerifierKey.parse((folder / "audit/verifier.vkey").read_text())


def report_on(folder: Path, *, anchors: tuple[Path, ...] = ()) -> Report:
    return _verified(sorted((folder / "audit").glob("*/*/*/*.sqlite")), key_of(folder), anchors)


def path_of(folder: Path, epoch: int = 1) -> Path:
    return folder / f"audit/ringfence/r0/w0/{epoch:06d}.sqlite"


def change(folder: Path, sql: str, *values: object, epoch: int = 1) -> None:
    with sqlite3.connect(path_of(folder, epoch)) as db:
        db.execute(sql, values)
    db.close()


def body_of(folder: Path, seq: int) -> bytes:
    db = sqlite3.connect(path_of(folder))
    (body,) = db.execute("SELECT body FROM record WHERE seq = ?", (seq,)).fetchone()
    db.close()
    return bytes(body)


def first_bad(report: Report) -> tuple[str, int | None]:
    assert report.exit_code == 1
    return report.violations[0].log, report.violations[0].seq


def test_an_honest_log_is_proven(folder):
    report = report_on(folder)
    assert (report.violations, report.unchecked, report.exit_code) == ([], [], 0)
    assert all(log.covered == log.size for log in report.logs)


@pytest.mark.parametrize("seq", [0, 1, 7, 12, 24])
def test_an_edited_word_is_found_at_its_record(folder, seq):
    body = body_of(folder, seq)
    change(folder, "UPDATE record SET body = ? WHERE seq = ?", body.replace(b'"t":"20', b'"t":"21'), seq)
    assert first_bad(report_on(folder)) == (LOG, seq)


def test_the_last_record_of_a_log_is_as_safe_as_any_other(folder):
    size = report_on(folder).logs[0].size
    body = body_of(folder, size - 1)
    change(
        folder, "UPDATE record SET body = ? WHERE seq = ?", body.replace(b"shutdown", b"shut_own"), size - 1
    )
    log, seq = first_bad(report_on(folder))
    assert log == LOG
    assert seq is not None
    assert seq <= size - 1


@pytest.mark.parametrize("seq", [1, 7, 12])
def test_a_dropped_record_is_named(folder, seq):
    change(folder, "DELETE FROM record WHERE seq = ?", seq)
    assert first_bad(report_on(folder)) == (LOG, seq)


def test_a_dropped_record_is_named_even_when_the_rest_is_renumbered(folder):
    change(folder, "DELETE FROM record WHERE seq = 5")
    change(folder, "UPDATE record SET seq = -seq WHERE seq > 5")
    change(folder, "UPDATE record SET seq = -seq - 1 WHERE seq < 0")
    assert first_bad(report_on(folder)) == (LOG, 5)


def test_swapped_records_are_named(folder):
    one, two = body_of(folder, 6), body_of(folder, 7)
    change(folder, "UPDATE record SET body = ? WHERE seq = 6", two)
    change(folder, "UPDATE record SET body = ? WHERE seq = 7", one)
    assert first_bad(report_on(folder)) == (LOG, 6)


def test_a_copied_record_is_named(folder):
    change(folder, "UPDATE record SET body = ? WHERE seq = 9", body_of(folder, 6))
    assert first_bad(report_on(folder)) == (LOG, 9)


@pytest.mark.parametrize("kept", [0, 4, 20])
def test_a_cut_tail_is_named(folder, kept):
    change(folder, "DELETE FROM record WHERE seq >= ?", kept)
    assert first_bad(report_on(folder)) == (LOG, kept)


@pytest.mark.parametrize("kept", [4, 20])
def test_a_cut_tail_is_named_even_when_its_heads_are_cut_too(folder, kept):
    change(folder, "DELETE FROM record WHERE seq >= ?", kept)
    change(folder, "DELETE FROM checkpoint WHERE size > ?", kept)
    path_of(folder).with_suffix(".checkpoint").unlink()
    report = report_on(folder)
    assert first_bad(report) == ("ringfence/r0/w0/000002", 0)
    assert "ended with" in report.violations[0].what


def test_the_cut_tail_of_the_newest_log_is_found_by_a_head_that_was_kept_elsewhere(folder):
    anchor = folder / "anchored"
    shutil.move(folder / "audit/ringfence/r0/w0/000003.checkpoint", anchor)
    change(folder, "DELETE FROM record WHERE seq >= 10", epoch=3)
    change(folder, "DELETE FROM checkpoint WHERE size > 10", epoch=3)
    assert report_on(folder).exit_code != 1
    assert first_bad(report_on(folder, anchors=(anchor,))) == ("ringfence/r0/w0/000003", 10)


def test_a_removed_log_in_the_middle_is_incomplete_and_with_an_anchor_a_violation(folder):
    anchor = folder / "anchored"
    shutil.copy(folder / "audit/ringfence/r0/w0/000002.checkpoint", anchor)
    path_of(folder, 2).unlink()
    report = report_on(folder)
    assert report.exit_code == 2
    assert any("000002: not here" in sentence for sentence in report.unchecked)
    assert first_bad(report_on(folder, anchors=(anchor,)))[0] == "ringfence/r0/w0/000002"


def relinked(folder: Path, edit, *, epoch: int = 1) -> None:
    """Rewrites a log from its first record on as a writer without the signing key could: all links fit."""
    with sqlite3.connect(path_of(folder, epoch)) as db:
        rows = db.execute("SELECT seq, body FROM record ORDER BY seq").fetchall()
        prev = "0" * 64
        for seq, body in rows:
            record: Draft = edit(orjson.loads(body))
            again = seal(record, str(record["log"]), seq, prev)
            prev = tree.leaf_hash(again).hex()
            db.execute("UPDATE record SET body = ? WHERE seq = ?", (again, seq))
    db.close()


def allow_everything(record: Draft) -> Draft:
    return (
        {**record, "reason": "allowed"}
        if record["seq"] == 8 and "reason" in record
        else {**record, "mono": 1}
    )


def test_a_log_rewritten_with_all_its_links_fails_at_the_first_signed_head(folder):
    relinked(folder, allow_everything)
    report = report_on(folder)
    assert first_bad(report)[0] == LOG
    assert "signed head" in report.violations[0].what


def test_a_rewritten_log_with_heads_by_another_key_is_not_believed(folder):
    relinked(folder, allow_everything)
    forger = Signer("ringfence", b"f" * 32)
    _sign_anew(folder, forger)
    report = report_on(folder)
    assert report.exit_code == 1
    assert "no signature by ringfence" in report.violations[0].what


def test_a_rewritten_log_with_heads_by_the_stolen_key_is_found_by_an_anchor_and_only_by_it(folder):
    from proxy.journal import load_signer

    anchor = folder / "anchored"
    shutil.move(folder / "audit/ringfence/r0/w0/000003.checkpoint", anchor)
    relinked(folder, allow_everything, epoch=3)
    _sign_anew(folder, load_signer(folder / "audit/signing.key", "ringfence"), epoch=3)
    honest = report_on(folder)
    assert honest.exit_code == 0
    assert any("no checkpoint from elsewhere" in sentence for sentence in honest.notes)
    assert first_bad(report_on(folder, anchors=(anchor,)))[0] == "ringfence/r0/w0/000003"


def _sign_anew(folder: Path, signer: Signer, *, epoch: int = 1) -> None:
    log = f"ringfence/r0/w0/{epoch:06d}"
    with sqlite3.connect(path_of(folder, epoch)) as db:
        leaves = [tree.leaf_hash(b) for (b,) in db.execute("SELECT body FROM record ORDER BY seq")]
        for (size,) in db.execute("SELECT size FROM checkpoint").fetchall():
            note = signer.sign(Checkpoint(log, size, tree.root(leaves[:size])).text())
            # A thief of the key can write summaries as well; one that cannot be read says nothing.
            db.execute("UPDATE checkpoint SET note = ?, holds = x'' WHERE size = ?", (note, size))
    db.close()


def test_heads_of_another_log_prove_nothing_here(folder):
    with sqlite3.connect(path_of(folder, 2)) as db:
        foreign = db.execute("SELECT note FROM checkpoint ORDER BY size DESC").fetchone()[0]
    db.close()
    change(folder, "UPDATE checkpoint SET note = ? WHERE size = (SELECT max(size) FROM checkpoint)", foreign)
    assert report_on(folder).exit_code == 1


def test_records_of_another_deployment_do_not_pass(folder, tmp_path):
    other = tmp_path / "other"
    asyncio.run(_one_log(other))
    path_of(folder).write_bytes((other / "audit/elsewhere/r0/w0/000001.sqlite").read_bytes())
    assert report_on(folder).exit_code == 1


async def _one_log(folder: Path) -> None:
    journal = kit.opened(folder, deployment="elsewhere")
    await journal.append(kit.refusal())
    await journal.close()


def test_a_log_without_its_heads_is_incomplete_not_proven(folder):
    change(folder, "DELETE FROM checkpoint", epoch=3)
    path_of(folder, 3).with_suffix(".checkpoint").unlink()
    report = report_on(folder)
    assert report.exit_code == 2
    assert "no valid signed head covers" in report.unchecked[0]


def test_without_a_key_nothing_is_proven(folder):
    paths = sorted((folder / "audit").glob("*/*/*/*.sqlite"))
    assert _verified(paths, None, ()).exit_code == 2


# -- the same on the records themselves, over many cases -------------------------------------------


@pytest.fixture(scope="module")
def honest(written) -> Honest:
    return Honest(written)


class Honest:
    """The three honest logs in memory, to verify with one of them exchanged."""

    def __init__(self, folder: Path) -> None:
        self.key = key_of(folder)
        exports = [exports_of([path_of(folder, epoch)], Report())[0] for epoch in (1, 2, 3)]
        self.logs: list[Records] = [list(export.records) for export in exports]
        self.notes = [list(export.notes) for export in exports]

    def verdict_with(self, at: int, log: Records) -> Report:
        logs = [*self.logs[:at], log, *self.logs[at + 1 :]]
        exports = [Export(f"ringfence/r0/w0/{n + 1:06d}", logs[n], self.notes[n]) for n in range(3)]
        return verify.verify(exports, key=self.key)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_flipped_bit_anywhere_survives_and_the_record_is_named(honest, data):
    logs = honest.logs
    epoch = data.draw(st.integers(0, 2))
    seq = data.draw(st.integers(0, len(logs[epoch]) - 1))
    body = bytearray(logs[epoch][seq][1])
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= 1 << data.draw(st.integers(0, 7))
    changed = [*logs[epoch][:seq], (seq, bytes(body)), *logs[epoch][seq + 1 :]]
    report = honest.verdict_with(epoch, changed)
    log, named = first_bad(report)
    assert log == f"ringfence/r0/w0/{epoch + 1:06d}"
    if seq < len(logs[epoch]) - 1:
        assert named == seq


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_no_rearrangement_survives(honest, data):
    bodies = [body for _, body in honest.logs[1]]
    moved = data.draw(st.permutations(bodies).filter(lambda p: p != bodies))
    assert honest.verdict_with(1, list(enumerate(moved))).exit_code == 1


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_no_selection_survives(honest, data):
    log = honest.logs[1]
    kept = data.draw(st.sets(st.integers(0, len(log) - 1), max_size=len(log) - 1))
    selection = [(n, body) for n, (_, body) in enumerate(log[k] for k in sorted(kept))]
    assert honest.verdict_with(1, selection).exit_code == 1


# -- the broken variants: each check of the verifier is needed -------------------------------------


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ("second intent", "a second intent"),
        ("second outcome", "a second outcome"),
        ("second refusal", "a second refusal"),
        ("no intent", "an outcome without an intent"),
        ("no open", "begins with its `open`"),
        ("spaces", "not the canonical form"),
        ("prompt", "does not fit the schema"),
        ("version", "use a newer one"),
        ("array", "not an object"),
        ("text", "not JSON"),
        ("huge", "more than any record"),
    ],
)
def test_a_log_that_its_own_writer_signed_must_still_make_sense(what, wanted):
    """The signer signs whatever it is given: these logs have valid heads, and are wrong."""
    signer = Signer("ringfence", b"k" * 32)
    rid = "01890000-0000-7000-8000-000000000001"
    opening = _first()
    drafts = {
        "second intent": [opening, kit.intent(rid), kit.intent(rid)],
        "second outcome": [opening, kit.intent(rid), kit.outcome(rid), kit.outcome(rid)],
        "second refusal": [opening, kit.refusal(rid), kit.refusal(rid)],
        "no intent": [opening, kit.outcome(rid)],
        "no open": [kit.refusal(rid)],
        "prompt": [opening, {**kit.refusal(rid), "prompt": "tell me"}],
        "version": [opening, {**kit.refusal(rid), "v": 2}],
    }.get(what, [opening])
    bodies: list[bytes] = []
    for draft in drafts:
        prev = tree.leaf_hash(bodies[-1]).hex() if bodies else "0" * 64
        bodies.append(seal(draft, LOG, len(bodies), prev))
    last = seal(kit.refusal(rid), LOG, 1, tree.leaf_hash(bodies[0]).hex())
    extra = {"spaces": last.replace(b",", b", ", 1), "array": b"[]", "text": b"prompt", "huge": b"x" * 20_000}
    bodies += [extra[what]] if what in extra else []
    head = Checkpoint(LOG, len(bodies), tree.root([tree.leaf_hash(body) for body in bodies]))
    notes = [signer.sign(head.text()).encode()]
    report = verify.verify([Export(LOG, list(enumerate(bodies)), notes)], key=signer.verifier)
    assert report.exit_code == 1
    assert wanted in report.violations[0].what
    assert report.violations[0].seq == len(bodies) - 1


def _first() -> Draft:
    from proxy.core.record import opened
    from proxy.journal import Clock

    return opened(Clock().stamp(), engine="0.1.0", reason="first")


def test_an_intent_without_an_outcome_is_open_in_the_newest_log_and_a_violation_in_an_older_one(tmp_path):
    async def write() -> None:
        journal = kit.opened(tmp_path)
        await journal.append(kit.intent())
        await journal.close()

    asyncio.run(write())
    report = report_on(tmp_path)
    assert report.exit_code == 2
    assert "has no outcome yet" in report.unchecked[0]
    asyncio.run(kit.opened(tmp_path).close())
    assert report_on(tmp_path).exit_code == 0
    with sqlite3.connect(path_of(tmp_path, 2)) as db:
        (body,) = db.execute("SELECT body FROM record WHERE seq = 1").fetchone()
    db.close()
    assert json.loads(body)["kind"] == "outcome"


@given(st.binary(max_size=400))
def test_the_verifier_bears_any_bytes_as_a_record_and_as_a_head(raw):
    report = verify.verify(
        [Export(LOG, [(0, raw)], [raw])], key=Signer("x", b"k" * 32).verifier, anchored=[raw]
    )
    assert report.exit_code == 1


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(trees)
def test_the_verifier_bears_any_json_as_a_record(value):
    raw = json.dumps({"v": 1, "kind": "intent", "x": value}).encode()
    assert verify.verify([Export(LOG, [(0, raw)])]).exit_code == 1


def test_what_was_given_as_an_anchor_and_is_none_is_a_violation(written):
    report = _verified([path_of(written)], key_of(written), [written / "audit/verifier.vkey"])
    assert any("a checkpoint that was given" in v.what for v in report.violations)


def test_the_published_checkpoint_beside_a_log_opens_with_the_published_key(written):
    note = parse_note((written / "audit/ringfence/r0/w0/000001.checkpoint").read_bytes())
    assert key_of(written).open(note).origin == LOG
