"""Files change under a running proxy: the good are taken over by all, the bad change nothing and are told."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.keys import Scope, open_keys
from tests.operations.kit import Client, readiness
from tests.running import POLICIES, Stage, eventually, running

OPEN = POLICIES["open"]
NOBODY = OPEN.replace("[open, limited]", "[limited]")


def loads(stage: Stage, *, ok: bool) -> list[dict[str, Any]]:
    return [each for each in stage.records() if each["kind"] == "policy_load" and each["ok"] is ok]


def put(file: Path, text: str) -> None:
    """As an operator's tools do it: beside, then renamed over."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.rename(file)


def empty(file: Path) -> None:
    file.write_text("")


def half(file: Path) -> None:
    file.write_text(NOBODY[: len(NOBODY) // 2])


def broken(file: Path) -> None:
    file.write_text(NOBODY + "training: {\n")


def misspelt(file: Path) -> None:
    file.write_text(NOBODY.replace("forbidden", "forbiden"))


def not_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00" * 100)


def twice(file: Path) -> None:
    file.write_text(NOBODY + "policy: other\n")


def unreadable(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nowhere"))


BAD: list[Callable[[Path], None]] = [empty, half, broken, misspelt, not_text, twice, unreadable]


@pytest.mark.parametrize("spoil", BAD)
def test_a_file_that_cannot_be_taken_leaves_the_old_revision_in_force(
    stage: Stage, spoil: Callable[[Path], None]
) -> None:
    file = stage.folder / "policies" / "open.yaml"
    _, before = readiness(stage)
    spoil(file)
    try:
        status, report = eventually(lambda: found if (found := readiness(stage))[1]["warnings"] else None)
        assert (status, report["ready"], report["revision"]) == (200, True, before["revision"])
        assert all("open.yaml" in words for words in report["warnings"])
        assert Client(stage).status() == 200
        failed = eventually(lambda: loads(stage, ok=False))[-1]
        assert failed["reason"] == "unreadable_files"
        assert failed["revision"] == before["revision"]
        assert failed["mistakes"] >= 1
    finally:
        file.unlink(missing_ok=True)
        put(file, OPEN)
    assert eventually(lambda: not readiness(stage)[1]["warnings"])
    assert Client(stage).status() == 200


def test_the_last_policy_that_goes_takes_nothing_with_it() -> None:
    with running(policies={"open": OPEN}) as stage:
        (stage.folder / "policies" / "open.yaml").unlink()
        warnings = eventually(lambda: readiness(stage)[1]["warnings"])
        assert any("there is no policy" in words for words in warnings)
        assert Client(stage).status() == 200


def test_a_signal_has_the_files_read_at_once() -> None:
    with running(config={"reload_every": "1h"}) as stage:
        _, before = readiness(stage)
        put(stage.folder / "policies" / "open.yaml", NOBODY)
        assert Client(stage).status() == 200
        assert stage.process is not None
        stage.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: readiness(stage)[1]["revision"] != before["revision"])
        assert Client(stage).status() == 403


def test_all_workers_take_a_change_over_and_keep_the_old_together() -> None:
    with running(config={"workers": 3, "reload_every": "100ms"}) as stage:
        clients = [Client(stage) for _ in range(6)]
        assert {client.status() for client in clients} == {200}
        _, before = readiness(stage)
        assert isinstance(before["revision"], str)
        put(stage.folder / "policies" / "open.yaml", NOBODY)
        eventually(lambda: readiness(stage)[1]["revision"] not in (before["revision"], None))
        _, after = eventually(
            lambda: found if isinstance((found := readiness(stage))[1]["revision"], str) else None
        )
        assert after["revision"] != before["revision"]
        assert {client.status() for client in clients} == {403}
        broken(stage.folder / "policies" / "open.yaml")
        eventually(lambda: len(loads(stage, ok=False)) == 3)
        assert readiness(stage)[1]["revision"] == after["revision"]
        assert {each["revision"] for each in loads(stage, ok=False)} == {after["revision"]}


def test_a_signal_to_the_parent_reaches_every_worker() -> None:
    with running(config={"workers": 2, "reload_every": "1h"}) as stage:
        put(stage.folder / "policies" / "open.yaml", NOBODY)
        assert stage.process is not None
        os.kill(stage.process.pid, signal.SIGHUP)
        clients = [Client(stage) for _ in range(4)]
        assert eventually(lambda: {client.status() for client in clients} == {403})


def test_a_key_works_once_it_is_made_and_no_longer_once_it_is_revoked(stage: Stage) -> None:
    from datetime import UTC, datetime

    keys = open_keys(stage.folder / "data" / "keys.json", stage.folder / "data" / "pepper")
    entry, secret = keys.create(Scope("open"), at=datetime.now(UTC))
    client = Client(stage)
    bearer = {"Authorization": f"Bearer {secret}"}
    assert eventually(lambda: client.status(**bearer) == 200)
    keys.revoke(entry.id, at=datetime.now(UTC))
    assert eventually(lambda: client.status(**bearer) == 401)
