"""ringfence serve: it says what stands in the way, and its options win over the settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from proxy.cli import main
from tests.doctor.setup import ENVIRON, sound
from tests.operations.kit import children
from tests.running import PATIENCE, eventually


def serve(folder: Path, *words: str, **environ: str) -> subprocess.Popen[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("RINGFENCE_", "OPPER_"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve", "--config", str(folder / "config.yaml"), *words],
        env={**kept, **ENVIRON, **environ}, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sound(tmp_path, gateway={"base_url": "http://127.0.0.1:9"})
    return tmp_path


def test_mistakes_in_the_settings_end_it_with_3_and_their_places(folder: Path) -> None:
    (folder / "config.yaml").write_text("listen: {prot: 1}\n")
    code, said = ended(serve(folder))
    assert code == 3
    assert "config.yaml:1:10" in said


def test_without_a_gateway_key_it_does_not_start(folder: Path) -> None:
    code, said = ended(serve(folder, OPPER_API_KEY=""))
    assert code == 3
    assert "OPPER_API_KEY" in said


def test_without_a_policy_it_does_not_start(folder: Path) -> None:
    (folder / "policies" / "open.yaml").unlink()
    code, said = ended(serve(folder))
    assert code == 3
    assert "there is no policy" in said


def test_a_gateway_that_is_down_does_not_keep_it_from_starting(folder: Path) -> None:
    ports = folder / "ports.json"
    process = serve(folder, "--ports-file", str(ports))
    try:
        assert eventually(ports.exists)
    finally:
        process.terminate()
    code, said = ended(process)
    assert code == 0
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert "catalogue_kept" in events
    assert events[-1] == "draining"


def test_workers_given_on_the_line_win_over_the_settings(folder: Path) -> None:
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**settings, "workers": 1}))
    ports = folder / "ports.json"
    process = serve(folder, "--workers", "2", "--ports-file", str(ports))
    try:
        assert eventually(ports.exists)
        assert len(children(process.pid)) >= 2
        assert len(list((folder / "data" / "audit").rglob("writer.lock"))) == 2
    finally:
        process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 0


def test_a_second_proxy_on_the_same_data_is_kept_out_of_the_log(folder: Path) -> None:
    ports = folder / "ports.json"
    process = serve(folder, "--ports-file", str(ports))
    try:
        assert eventually(ports.exists)
        code, said = ended(serve(folder))
        assert code != 0
        assert "another process is writing the audit log" in said
    finally:
        process.terminate()
    assert ended(process)[0] == 0


def test_fewer_than_one_worker_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["serve", "--workers", "0"]).exit_code == 2
