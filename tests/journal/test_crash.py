"""kill -9: every acknowledged record is there, and recovery gives every intent exactly one outcome."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from proxy.core.tree import leaf_hash
from proxy.journal.start import WriterLock
from proxy.stores.base import LogId
from proxy.stores.sqlite import LogFile
from tests.journal import kit

CHILD = """
import asyncio, os, sys
from pathlib import Path
from tests.journal import kit

async def client(journal):
    while True:
        draft = kit.intent()
        receipt = await journal.append(draft)
        # As the pipeline would: only now may a byte go upstream. A write to a pipe outlives this process.
        epoch = receipt.log.rpartition("/")[2]
        os.write(1, f"{epoch} {receipt.seq} {receipt.leaf} {draft['rid']}\\n".encode())
        await asyncio.sleep(0.002)
        journal.submit(kit.outcome(str(draft["rid"])))

async def main():
    journal = kit.opened(Path(sys.argv[1]), checkpoint_every=200)
    await asyncio.gather(*(client(journal) for _ in range(100)))

asyncio.run(main())
"""


def _killed_after(folder, lines: int) -> list[list[str]]:
    """Runs a loaded writer and kills it once so many records were acknowledged; what it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert child.stdout is not None
    seen = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    seen += child.stdout.read().splitlines(keepends=True)
    child.wait()
    return [line.decode().split() for line in seen if line.endswith(b"\n")]


def test_nothing_acknowledged_is_lost_and_orphans_are_named_over_many_kills(tmp_path):
    acknowledged = []
    for kill in range(8):
        acknowledged += _killed_after(tmp_path, 60 + 97 * kill)
    journal = kit.opened(tmp_path)
    asyncio.run(journal.close())

    held = {(e.log.epoch, e.seq): leaf_hash(e.body).hex() for e in kit.entries(tmp_path)}
    assert all(held.get((int(epoch), int(seq))) == leaf for epoch, seq, leaf, _ in acknowledged)
    intents = [r["rid"] for r in kit.records(tmp_path, "intent")]
    outcomes = kit.records(tmp_path, "outcome")
    assert set(intents) >= {line[3] for line in acknowledged}
    assert sorted(intents) == sorted(r["rid"] for r in outcomes)
    orphans = [r for r in outcomes if r["end"] == "unknown_crash"]
    assert orphans
    assert sum(r["recovered"] for r in kit.records(tmp_path, "open")) == len(orphans)
    assert kit.verified(tmp_path) == 0


def test_the_outcome_of_an_orphan_names_its_intent(tmp_path):
    (epoch, seq, _, rid), *_ = _killed_after(tmp_path, 100)
    asyncio.run(kit.opened(tmp_path).close())
    named = {(r["intent_log"], r["intent_seq"]): r["rid"]
             for r in kit.records(tmp_path, "outcome") if r["end"] == "unknown_crash"}  # fmt: skip
    where = {(str(e.log), e.seq): e.record["rid"] for e in kit.entries(tmp_path, kinds=("intent",))}
    assert named
    assert all(where[place] == rid for place, rid in named.items())
    assert where[f"ringfence/r0/w0/{epoch}", int(seq)] == rid


async def test_each_attempt_of_a_request_needs_its_own_outcome(tmp_path):
    journal = kit.opened(tmp_path)
    rid = str(kit.intent()["rid"])
    for attempt in (1, 2, 3):
        await journal.append(kit.intent(rid, attempt))
    journal.submit(kit.outcome(rid, attempt=2))
    await journal.close()
    again = kit.opened(tmp_path)
    assert again.recovered == 2
    await again.close()
    lost = [r["attempt"] for r in kit.records(tmp_path, "outcome") if r["end"] == "unknown_crash"]
    assert lost == [1, 3]
    third = kit.opened(tmp_path)
    assert third.recovered == 0
    await third.close()
    assert kit.verified(tmp_path) == 0


async def test_each_epoch_states_the_size_and_root_of_the_one_before(tmp_path):
    for _ in range(3):
        journal = kit.opened(tmp_path)
        await journal.append(kit.refusal())
        await journal.close()
    first, second, third = kit.records(tmp_path, "open")
    assert (first["reason"], "prev_log" in first) == ("first", False)
    assert (second["reason"], second["prev_log"], second["prev_size"]) == (
        "next",
        "ringfence/r0/w0/000001",
        3,
    )
    assert (third["prev_log"], third["prev_size"]) == ("ringfence/r0/w0/000002", 3)
    assert kit.verified(tmp_path) == 0


async def test_a_start_that_crashed_before_its_first_record_leaves_no_hole_in_the_epochs(tmp_path):
    journal = kit.opened(tmp_path)
    await journal.append(kit.intent())
    await journal.close()
    LogFile(LogId("ringfence/r0/w0", 2).path(tmp_path / "audit"), LogId("ringfence/r0/w0", 2)).close()
    again = kit.opened(tmp_path)
    assert again.log == "ringfence/r0/w0/000002"
    assert again.recovered == 1
    await again.close()
    assert kit.verified(tmp_path) == 0


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 50])
async def test_a_log_that_cannot_be_read_is_kept_and_the_next_epoch_says_so(tmp_path, damage):
    journal = kit.opened(tmp_path)
    await journal.append(kit.refusal())
    await journal.close()
    path = tmp_path / f"audit/{journal.log}.sqlite"
    if damage:
        path.write_bytes(damage)
    else:
        raw = bytearray(path.read_bytes())
        raw[4096 : len(raw)] = os.urandom(len(raw) - 4096)
        path.write_bytes(raw)
    again = kit.opened(tmp_path)
    await again.append(kit.refusal())
    await again.close()
    opened = kit.records_of(tmp_path, again.log)[0]
    assert (opened["reason"], opened["prev_log"]) == ("damaged", journal.log)
    assert path.exists()
    assert kit.verified(tmp_path) == 1


def test_the_lock_of_a_killed_writer_does_not_outlive_it(tmp_path):
    _killed_after(tmp_path, 20)
    WriterLock(tmp_path / "audit", "ringfence/r0/w0").release()
