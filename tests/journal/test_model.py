"""The chain against a model of the promise, over any order of writes, faults, crashes and restarts."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

import orjson
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.core import tree
from proxy.core.checkpoint import Signer
from proxy.core.values import Receipt
from proxy.journal import Clock
from proxy.journal.chain import Chain
from proxy.journal.start import Program, open_chain
from proxy.journal.writer import unsent
from proxy.stores.base import StoreFault
from tests.journal import kit

SIGNER = Signer("ringfence", b"k" * 32)
WRITER = "ringfence/r0/w0"


class Promise(RuleBasedStateMachine):
    """What was acknowledged is there for ever; what was not is there wholly, or not at all."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(mkdtemp(prefix="model-"))
        (self.folder / "audit" / WRITER).mkdir(parents=True)
        self.acknowledged: dict[tuple[str, int], str] = {}
        self.open_intents: set[str] = set()
        self.faulty = kit.faulty_disk()
        self.disk = self.faulty.__enter__()
        self.broken = False
        self.chain = self._opened()

    def _opened(self) -> Chain:
        chain, _ = open_chain(
            self.folder / "audit", WRITER, signer=SIGNER, program=Program("0"), clock=Clock(), verify=1000
        )
        return chain

    def teardown(self) -> None:
        self.chain.close()
        self.faulty.__exit__(None, None, None)
        (self.folder / "audit/verifier.vkey").write_text(str(SIGNER.verifier))
        assert kit.verified(self.folder) != 1
        shutil.rmtree(self.folder)

    @precondition(lambda self: not self.broken)
    @rule(count=st.sampled_from([1, 2, 3, 70]), fault=st.sampled_from([None, "before", "after"]))
    def intents(self, count: int, fault: str | None) -> None:
        drafts = [kit.intent() for _ in range(count)]
        if fault is not None:
            getattr(self.disk, fault).append(StoreFault("made up"))
        try:
            receipts = self.chain.append(drafts)
        except StoreFault:
            self.broken = True
            return
        for draft, receipt in zip(drafts, receipts, strict=True):
            assert isinstance(receipt, Receipt)
            self.acknowledged[receipt.log, receipt.seq] = receipt.leaf
            self.open_intents.add(str(draft["rid"]))

    @precondition(lambda self: not self.broken and self.open_intents)
    @rule(data=st.data())
    def outcomes(self, data: st.DataObject) -> None:
        rids = data.draw(st.sets(st.sampled_from(sorted(self.open_intents)), min_size=1))
        for receipt in self.chain.append([kit.outcome(rid) for rid in sorted(rids)]):
            assert isinstance(receipt, Receipt)
            self.acknowledged[receipt.log, receipt.seq] = receipt.leaf
        self.open_intents -= rids

    @precondition(lambda self: not self.broken)
    @rule()
    def sign(self) -> None:
        self.chain.sign("2026-03-01T00:00:00.000000Z")

    @precondition(lambda self: self.broken)
    @rule()
    def recover(self) -> None:
        left = [orjson.loads(body) for body in self.chain.recover()]
        # Nobody holds a receipt for these: they were refused, so nothing was sent for them.
        self.chain.append([unsent(record, Clock()) for record in left if record["kind"] == "intent"])
        self.broken = False

    @rule()
    def crash_and_start_again(self) -> None:
        # Closing without a word is all that a killed process does to the file; locks are not tested here.
        self.chain.close()
        self.broken = False
        self.chain = self._opened()
        self.open_intents.clear()

    @invariant()
    def everything_acknowledged_stands(self) -> None:
        if not hasattr(self, "chain"):
            return
        held = {(str(e.log), e.seq): tree.leaf_hash(e.body).hex() for e in kit.entries(self.folder)}
        assert self.acknowledged.items() <= held.items()

    @invariant()
    def every_request_but_the_open_ones_has_exactly_one_outcome(self) -> None:
        if not hasattr(self, "chain") or self.broken:
            return
        intents = [r["rid"] for r in kit.records(self.folder, "intent")]
        outcomes = [r["rid"] for r in kit.records(self.folder, "outcome")]
        assert len(set(outcomes)) == len(outcomes)
        assert set(intents) == set(outcomes) | self.open_intents


TestPromise = Promise.TestCase
TestPromise.settings = hypothesis_settings(max_examples=30, stateful_step_count=12, deadline=None)
