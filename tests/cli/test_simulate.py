import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from proxy.simulator import read_witness

PROGRAM = [
    sys.executable,
    "-c",
    "from proxy.cli import main; main()",
    "simulate",
    "--port",
    "0",
    "--print-port",
]
BODY = {"model": "example-us/atlas-1", "messages": [{"role": "user", "content": "[[say:Hej]]"}]}
CHAT = "/v3/compat/chat/completions"


def send(url: str, body: Any = None) -> tuple[int, Any]:
    """POST a body as JSON (bytes as they are), or GET without one."""
    data = body if isinstance(body, bytes | None) else orjson.dumps(body)
    request = urllib.request.Request(url, data=data, headers={"Authorization": "Bearer op-test"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, orjson.loads(error.read())


@pytest.fixture
def simulate() -> Iterator[Any]:
    running: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
        program = subprocess.Popen([*PROGRAM, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.append(program)
        assert program.stdout is not None
        return program, orjson.loads(program.stdout.readline())

    yield start
    for program in running:
        if program.poll() is None:
            program.kill()
        program.communicate()


def test_it_serves_as_a_program_and_leaves_on_sigterm(simulate):
    program, printed = simulate()
    _, answer = send(printed["base_url"] + CHAT, BODY)
    assert answer["choices"][0]["message"]["content"] == "Hej"
    program.send_signal(signal.SIGTERM)
    assert program.wait() == 0


def test_what_it_witnessed_outlives_a_kill(simulate, tmp_path):
    file = tmp_path / "witness.jsonl"
    program, printed = simulate("--witness", str(file))
    send(f"{printed['base_url']}/v3/images", b"not json")
    program.kill()
    program.wait()
    lines = read_witness(file)
    assert [line["moment"] for line in lines][:2] == ["head", "whole"]
    assert lines[0]["target"] == "/v3/images"


def test_it_is_driven_through_its_control_port(simulate):
    _, printed = simulate("--control-port", "0")
    control = printed["control_url"]
    assert send(f"{control}/faults", {"kind": "status", "status": 529}) == (200, {"ok": True})
    assert send(printed["base_url"] + CHAT, BODY)[0] == 529
    assert len(send(f"{control}/requests")[1]["requests"]) == 1


def test_a_scenario_file_scripts_the_answers(simulate, tmp_path: Path):
    file = tmp_path / "scenario.json"
    file.write_bytes(orjson.dumps({"steps": [{"say": {"text": "scripted"}}]}))
    _, printed = simulate("--scenario", str(file))
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    body = {"model": "atlas-1", "messages": [{"role": "user", "content": "x"}], "tools": tools}
    _, answer = send(printed["base_url"] + CHAT, body)
    assert answer["choices"][0]["message"]["content"] == "scripted"


def test_a_scenario_that_cannot_be_read_is_named(tmp_path):
    file = tmp_path / "scenario.json"
    file.write_text('{"steps": [{"fly": {}}]}')
    ended = subprocess.run([*PROGRAM, "--scenario", str(file)], capture_output=True, check=False)
    assert ended.returncode == 1
    assert b"scenario.json: step 1" in ended.stderr
