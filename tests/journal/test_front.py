"""What the pipeline may rely on: a receipt means durable, an error means refuse."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.core import record, tree
from proxy.core.checkpoint import VerifierKey, parse_note
from proxy.core.errors import JournalUnavailable, Mistake
from proxy.core.record_schema import faults
from proxy.journal import chain
from proxy.journal.front import AT_ONCE
from proxy.stores.sqlite import LogFile
from tests.crowds import most_in_one_turn
from tests.journal import kit


async def test_a_receipt_names_a_record_that_stands_in_the_log(tmp_path):
    journal = kit.opened(tmp_path)
    receipt = await journal.append(kit.intent())
    assert kit.stands(tmp_path, receipt)
    assert receipt.log == "ringfence/r0/w0/000001"
    await journal.close()


async def test_many_waiting_at_once_get_numbers_without_gap_and_an_unbroken_chain(tmp_path):
    journal = kit.opened(tmp_path)
    receipts = await asyncio.gather(*(journal.append(kit.refusal()) for _ in range(300)))
    assert sorted(receipt.seq for receipt in receipts) == list(range(1, 301))
    await journal.close()
    found = kit.entries(tmp_path)
    assert [entry.seq for entry in found] == list(range(302))
    for before, after in pairwise(found):
        assert after.record["prev"] == tree.leaf_hash(before.body).hex()
    assert kit.verified(tmp_path) == 0


async def test_of_a_batch_only_a_few_go_on_in_one_turn_of_the_loop(tmp_path):
    journal = kit.opened(tmp_path)
    receipts = [asyncio.ensure_future(journal.append(kit.refusal())) for _ in range(40)]
    ended: list[object] = []
    for receipt in receipts:
        receipt.add_done_callback(ended.append)
    most = await most_in_one_turn(ended, 40)
    assert ended == receipts
    assert most == AT_ONCE
    await journal.close()


async def test_everything_the_journal_writes_fits_the_schema(tmp_path):
    journal = kit.opened(tmp_path, heartbeat_interval="100ms")
    rid = str(kit.intent()["rid"])
    await journal.append(kit.intent(rid))
    journal.submit(kit.outcome(rid))
    journal.note(kit.reject())
    await kit.until(lambda: kit.records(tmp_path, "heartbeat"))
    await journal.close()
    found = kit.records(tmp_path)
    assert {"open", "intent", "outcome", "reject", "heartbeat", "close"} == {r["kind"] for r in found}
    assert [fault for each in found for fault in faults(each)] == []


async def test_a_record_that_cannot_be_encoded_is_refused_and_costs_its_neighbours_nothing(tmp_path):
    journal = kit.opened(tmp_path)
    bad: list[record.Draft] = [
        {**kit.intent(), "host": "\ud800"},
        {**kit.intent(), "in_len": 1 << 60},
        {"kind": "intent"},
    ]
    drafts = [kit.refusal(), *bad, kit.refusal()]
    results = await asyncio.gather(*(journal.append(d) for d in drafts), return_exceptions=True)
    assert [isinstance(result, JournalUnavailable) for result in results] == [False, True, True, True, False]
    assert journal.healthy
    await journal.close()
    assert kit.verified(tmp_path) == 0


async def test_a_second_writer_of_the_same_identity_is_kept_out(tmp_path):
    journal = kit.opened(tmp_path)
    with pytest.raises(JournalUnavailable, match="another process is writing"):
        kit.opened(tmp_path)
    other = kit.opened(tmp_path, worker="w1")
    await other.append(kit.refusal())
    await other.close()
    await journal.close()
    again = kit.opened(tmp_path)
    await again.close()
    assert kit.verified(tmp_path) == 0


async def test_closing_writes_what_waits_and_a_head_over_all_of_it(tmp_path):
    journal = kit.opened(tmp_path, checkpoint_interval="1h")
    for _ in range(40):
        journal.submit(kit.refusal())
    await journal.close(reason="drained")
    found = kit.entries(tmp_path)
    assert [e.record["kind"] for e in found] == ["open", *["refusal"] * 40, "close"]
    assert found[-1].record["reason"] == "drained"
    key = VerifierKey.parse((tmp_path / "audit/verifier.vkey").read_text())
    note = (tmp_path / f"audit/{journal.log}.checkpoint").read_bytes()
    head = key.open(parse_note(note))
    assert (head.origin, head.size) == (journal.log, 42)
    assert head.root == tree.root([tree.leaf_hash(e.body) for e in found])
    assert key == journal.verifier


async def test_a_closed_journal_takes_nothing_and_can_be_closed_again(tmp_path):
    journal = kit.opened(tmp_path)
    await journal.close()
    await journal.close()
    assert not journal.healthy
    with pytest.raises(JournalUnavailable, match="closed"):
        await journal.append(kit.intent())
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.submit(kit.outcome("x"))


async def test_heads_are_signed_every_so_many_records_and_after_so_long(tmp_path):
    journal = kit.opened(tmp_path, checkpoint_every=10, checkpoint_interval="1h")
    for _ in range(3):
        await asyncio.gather(*(journal.append(kit.refusal()) for _ in range(20)))
    await kit.until(lambda: len(_notes(tmp_path)) >= 2)
    await journal.close()
    other = kit.opened(tmp_path, worker="w1", checkpoint_every=1000, checkpoint_interval="50ms")
    await other.append(kit.refusal())
    await kit.until(lambda: len(_notes(tmp_path, "w1")) >= 2)
    await other.close()


def _notes(folder: Path, worker: str = "w0") -> list[str]:
    from proxy.stores.base import LogId
    from proxy.stores.reader import Reader

    return Reader(folder / "audit").notes(LogId(f"ringfence/r0/{worker}", 1))


async def test_a_wall_clock_that_jumps_is_recorded_and_moves_no_number(tmp_path):
    held = kit.HeldClock()
    journal = kit.opened(tmp_path, clock=held.clock())
    first = await journal.append(kit.refusal())
    held.shift -= kit.timedelta(hours=2)
    await kit.until(lambda: kit.records(tmp_path, "clock_step"))
    second = await journal.append(kit.refusal())
    await journal.close()
    (step,) = kit.records(tmp_path, "clock_step")
    assert abs(step["step_us"] + 7_200_000_000) < 1_000_000
    assert second.seq > first.seq
    assert kit.verified(tmp_path) == 0


async def _batches(journal, turns: list[int]) -> list[int]:
    """The sizes of what the writer is handed when so many records come in successive turns of the loop."""
    handed: list[int] = []
    queue = journal._writer.queue

    class Seen:
        get, get_nowait = queue.get, queue.get_nowait

        def put(self, items):
            handed.append(len(items or ()))
            queue.put(items)

    journal._writer.queue = Seen()
    waiting = []
    for count in turns:
        waiting += [asyncio.ensure_future(journal.append(kit.refusal())) for _ in range(count)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    journal._writer.queue = queue
    return handed


@pytest.mark.parametrize(
    ("turns", "batches"),
    [([1], [1]), ([2, 2], [2, 2]), ([5, 5, 1], [11]), ([20, 20, 20], [40, 20]), ([40], [40])],
)
async def test_only_what_a_busy_loop_brings_waits_for_another_turn(tmp_path, turns, batches):
    journal = kit.opened(tmp_path)
    assert await _batches(journal, turns) == batches
    await journal.close()


# -- who stops waiting -----------------------------------------------------------------------------


class StuckDisk:
    """A log whose appends wait until they are let go."""

    def __init__(self, monkeypatch) -> None:
        import threading

        self.reached, self.let_go = threading.Event(), threading.Event()
        disk = self

        class StuckFile(LogFile):
            def append(self, rows):
                if any(b'"kind":"open"' not in body for _, body in rows):
                    disk.reached.set()
                    disk.let_go.wait()
                super().append(rows)

        monkeypatch.setattr(chain, "LogFile", StuckFile)

    async def is_reached(self) -> None:
        """Returns when an append is under way."""
        await asyncio.get_running_loop().run_in_executor(None, self.reached.wait)


async def test_an_intent_given_up_while_it_is_written_gets_the_outcome_not_sent(tmp_path, monkeypatch):
    disk = StuckDisk(monkeypatch)
    journal = kit.opened(tmp_path)
    task = asyncio.ensure_future(journal.append(kit.intent()))
    await disk.is_reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    disk.let_go.set()
    await kit.until(lambda: kit.records(tmp_path, "outcome"))
    await journal.close()
    ((sent,), (ended,)) = kit.records(tmp_path, "intent"), kit.records(tmp_path, "outcome")
    assert (ended["rid"], ended["end"]) == (sent["rid"], "not_sent")
    assert kit.verified(tmp_path) == 0


async def test_an_intent_given_up_before_it_is_begun_leaves_no_record(tmp_path, monkeypatch):
    disk = StuckDisk(monkeypatch)
    journal = kit.opened(tmp_path)
    first = asyncio.ensure_future(journal.append(kit.refusal()))
    await disk.is_reached()
    second = asyncio.ensure_future(journal.append(kit.intent()))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    disk.let_go.set()
    await first
    await journal.close()
    assert kit.records(tmp_path, "intent", "outcome") == []
    assert journal.pending == 0


async def test_an_intent_given_up_just_after_it_became_durable_gets_the_outcome_not_sent(tmp_path):
    journal = kit.opened(tmp_path)
    for _ in range(20):
        task = asyncio.ensure_future(journal.append(kit.intent()))
        while not journal.pending:  # noqa: ASYNC110 - the very next turn of the loop matters here
            await asyncio.sleep(0)
        # The batch is done when nothing is pending; the task has not run since.
        while journal.pending:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            journal.submit(kit.outcome(str(kit.records(tmp_path, "intent")[-1]["rid"])))
    await journal.close()
    assert kit.verified(tmp_path) == 0


async def test_more_than_may_wait_is_refused_at_once_and_outcomes_are_not(tmp_path, monkeypatch):
    disk = StuckDisk(monkeypatch)
    journal = kit.opened(tmp_path, max_queue=5)
    waiting = [asyncio.ensure_future(journal.append(kit.refusal())) for _ in range(5)]
    await disk.is_reached()
    with pytest.raises(JournalUnavailable, match="waiting for the disk"):
        await journal.append(kit.intent())
    rid = "01890000-0000-7000-8000-000000000001"
    journal.submit(kit.outcome(rid))
    disk.let_go.set()
    await asyncio.gather(*waiting)
    await journal.close()
    assert [r["rid"] for r in kit.records(tmp_path, "outcome")] == [rid]


async def test_a_disk_that_does_not_answer_sheds_by_the_age_of_what_waits(tmp_path, monkeypatch):
    disk = StuckDisk(monkeypatch)
    journal = kit.opened(tmp_path, max_wait="50ms")
    waiting = asyncio.ensure_future(journal.append(kit.refusal()))
    await disk.is_reached()
    await kit.until(lambda: journal.lag > 0.05)
    with pytest.raises(JournalUnavailable, match="not answered"):
        await journal.append(kit.intent())
    disk.let_go.set()
    await waiting
    await journal.append(kit.refusal())
    assert journal.lag < 10
    await journal.close()


async def test_what_was_shed_is_counted_in_a_gap_record(tmp_path, monkeypatch):
    disk = StuckDisk(monkeypatch)
    journal = kit.opened(tmp_path, max_queue=1)
    waiting = asyncio.ensure_future(journal.append(kit.refusal()))
    await disk.is_reached()
    for draft in (kit.intent(), kit.intent(), kit.refusal()):
        with pytest.raises(JournalUnavailable):
            await journal.append(draft)
    disk.let_go.set()
    await waiting
    await journal.close()
    (gap,) = kit.records(tmp_path, "gap")
    assert gap["counts"] == {"intent": 2, "refusal": 1}


# -- input by nobody -------------------------------------------------------------------------------


async def test_a_flood_of_rejected_input_becomes_few_records_that_count_it_all(tmp_path):
    journal = kit.opened(tmp_path, rejects_per_second=5)
    for _ in range(1000):
        journal.note(kit.reject("unknown_key"))
    for _ in range(100):
        journal.note(kit.reject("no_credential"))
    await journal.close()
    found = kit.records(tmp_path, "reject")
    counts = {reason: sum(r["count"] for r in found if r["reason"] == reason)
              for reason in ("unknown_key", "no_credential")}  # fmt: skip
    assert counts == {"unknown_key": 1000, "no_credential": 100}
    assert len(found) < 40


# -- keys ------------------------------------------------------------------------------------------


async def test_the_keys_are_made_once_for_their_owner_only(tmp_path):
    from proxy.journal import load_pseudonyms

    journal = kit.opened(tmp_path)
    await journal.close()
    again = kit.opened(tmp_path)
    await again.close()
    assert again.verifier == journal.verifier
    key = tmp_path / "audit/signing.key"
    assert key.stat().st_mode & 0o777 == 0o600
    pseudonyms = load_pseudonyms(tmp_path / "audit/pseudonym.key")
    assert pseudonyms.person("x") == load_pseudonyms(tmp_path / "audit/pseudonym.key").person("x")
    assert (tmp_path / "audit/pseudonym.key").stat().st_mode & 0o777 == 0o600


def test_a_signing_key_of_another_deployment_is_not_taken(tmp_path):
    from proxy.journal import load_signer

    load_signer(tmp_path / "key", "one")
    with pytest.raises(Mistake, match=r"'one'.*'two'"):
        load_signer(tmp_path / "key", "two")
    (tmp_path / "key").write_text("PRIVATE+KEY+one+00000000+AAAA")
    with pytest.raises(Mistake, match="does not hold a signing key"):
        load_signer(tmp_path / "key", "one")


def test_a_name_that_cannot_be_a_folder_is_a_setting_error():
    with pytest.raises(ValueError, match="deployment"):
        kit.settings(deployment="../x")
