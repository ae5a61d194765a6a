"""Errors of our own: whatever breaks inside before the send is a refusal, recorded where it can be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.kit import Broken, ask, broken, code, stage_settled, status, until
from tests.running import eventually

# What a site-packages hook does to the real process: the named attribute raises, once it is told to.
HOOK = """\
import importlib, os, sys

def _break():
    module, _, path = os.environ["BROKEN"].partition(":")
    owner = importlib.import_module(module)
    *way, name = path.split(".")
    for step in way:
        owner = getattr(owner, step)
    whole = getattr(owner, name)
    def broken(*words, **more):
        if os.path.exists(os.environ["WHEN"]):
            raise {error}("CANARY-in-an-exception")
        return whole(*words, **more)
    try:
        setattr(owner, name, broken)
    except AttributeError:
        type.__setattr__(owner, name, broken)

class _Late:
    # The proxy's modules are patched after they are imported, and before it serves.
    def find_spec(self, name, path=None, target=None):
        if name == "proxy.worker":
            sys.meta_path.remove(self)
            importlib.import_module("proxy.wiring")
            _break()
        return None

sys.meta_path.insert(0, _Late())
"""


@contextmanager
def breaking(tmp_path: Path, what: str, *, error: str = "RuntimeError") -> Iterator[tuple[Broken, Path]]:
    """A proxy in which `what` raises as soon as a file is there."""
    hooks, when = tmp_path / "hooks", tmp_path / "now"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK.format(error=error))
    prefix = ["env", f"PYTHONPATH={hooks}", f"BROKEN={what}", f"WHEN={when}"]
    with broken(tmp_path / "proxy", prefix=prefix) as stage:
        yield stage, when


PARTS = [
    "proxy.core.dialects.routing:match",
    "proxy.pipeline:credential",
    "proxy.pipeline:fingerprint",
    "proxy.limits:Limits.admit",
    "proxy.core.dialects.openai:OpenAI.read",
    "proxy.core.dialects.openai:OpenAI.translate",
    "proxy.core.strict_json:from_json",
    "proxy.core.dialects.reading:in_order",
    "proxy.core.effects:EffectTable.find",
    "proxy.revision:Revision.decide",
    "proxy.revision:decide",
    "proxy.core.decide:applicable",
    "proxy.pipeline:approve",
    "proxy.core.dialects.openai:OpenAI.forward",
    "proxy.evidence:Evidence.commit_to",
    "proxy.core.record:Recorder.intent",
    "proxy.journal:Journal.append",
    "proxy.forward:Forward.admits",
]


@pytest.mark.fault("F44")
@pytest.mark.parametrize("what", PARTS)
async def test_an_exception_on_the_way_to_the_gateway_is_a_refusal_that_lets_nothing_leave(
    tmp_path: Path, what: str
) -> None:
    with breaking(tmp_path, what) as (stage, when):
        assert status(await ask(stage)) == 200
        eventually(lambda: stage_settled(stage))
        before, seen = stage.kinds(), len(stage.seen)
        when.touch()
        # Another model than before: a verdict that is remembered asks nobody.
        answered = await ask(stage, model="example-us/atlas-1-mini")
        assert (status(answered), code(answered)) in ((503, "proxy_fault"), (503, "audit_unavailable"))
        assert len(stage.seen) == seen
        when.unlink()
        assert status(await ask(stage)) == 200
        eventually(lambda: stage_settled(stage))
        after = stage.kinds()
        assert after["intent"] == before["intent"] + 1
        assert after["refusal"] + after["reject"] > before["refusal"] + before["reject"] or "Journal" in what
        assert b"CANARY-in-an-exception" not in stage.written() + answered.raw
        assert b"proxy_fault" in stage.written()


@pytest.mark.fault("F45")
@pytest.mark.parametrize("error", ["ValueError", "RecursionError", "UnicodeError", "OverflowError"])
async def test_a_record_that_cannot_be_encoded_refuses_its_request_and_no_other(
    tmp_path: Path, error: str
) -> None:
    with breaking(tmp_path, "proxy.journal.chain:seal", error=error) as (stage, when):
        assert status(await ask(stage)) == 200
        eventually(lambda: stage_settled(stage))
        seen = len(stage.seen)
        when.touch()
        answered = await ask(stage)
        assert status(answered) == 503
        assert len(stage.seen) == seen
        when.unlink()
        await until(lambda: _serves(stage))
        assert b"CANARY-in-an-exception" not in stage.written() + answered.raw


async def _serves(stage: Broken) -> bool:
    return status(await ask(stage)) == 200


@pytest.mark.fault("F45")
@pytest.mark.parametrize(
    "field",
    [b"User-Agent: \xff\xfe", b"User-Agent: " + b"a" * 20_000, b"traceparent: 00-\xed\xa0\x80-x-01"],
    ids=["bytes", "long", "surrogate"],
)
async def test_header_bytes_that_are_no_text_are_served_or_refused_and_recorded(
    tmp_path: Path, field: bytes
) -> None:
    from tests.bypass.attempt import attempt
    from tests.bypass.cases import Step
    from tests.faults.kit import request

    with broken(tmp_path / "proxy") as stage:
        data = request(stage).replace(b"Host: proxy", b"Host: proxy\r\n" + field)
        answered = await attempt(stage.port, (Step(data=data),))
        assert status(answered) in (200, 400)
        eventually(lambda: stage_settled(stage))
        kinds = stage.kinds()
        assert kinds["intent"] + kinds["refusal"] + kinds["reject"] == 1
        assert json.dumps(stage.records())
