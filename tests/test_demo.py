"""The story is played for real, and a changed policy file makes it end badly."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from proxy import demo
from proxy.demo_stage import Unexpected
from tests.judging import ROOT
from tests.running import PATIENCE

POLICIES = ROOT / "policies"


def played(policies: Path) -> tuple[int, str]:
    """The exit code of the story, and all that it said."""
    said: list[str] = []
    return demo.play(policies, said.append, port=0, once=True), "\n".join(said)


def edited(folder: Path, old: str, new: str, name: str = demo.MISSION) -> Path:
    """A copy of the shipped policies in which one line reads otherwise."""
    copied = folder / "policies"
    shutil.copytree(POLICIES, copied)
    file = copied / f"{name}.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    return copied


def test_the_whole_story_comes_out_as_told_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    code, said = played(POLICIES)
    assert code == 0, said
    assert "Every verdict came out as told." in said
    for words in (
        "-> 403 requirement_unmet",
        "-> 200 served by openai/gpt-image-1",
        "exactly the bytes sent",
        "changed on the way: pin=",
        "allow    complete 200       openai/gpt-image-1",
    ):
        assert words in said, words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("{application_state: none, abuse_logs: none}", "{abuse_logs: {at_most: 30d}}", demo.MISSION),
        ('projects: ["*"]', 'projects: ["nobody"]', demo.STRICT),
        ("training: forbidden", "training: allowed_if_opted_in", demo.MISSION),
        ("within: [US]", "within: [SE]", demo.MISSION),
    ],
    ids=["laxer on logs", "strict for nobody", "nonsense", "another place"],
)
def test_an_edited_policy_does_not_pass_unnoticed(old: str, new: str, name: str, tmp_path: Path) -> None:
    try:
        code, said = played(edited(tmp_path, old, new, name))
    except Unexpected as unexpected:
        assert "the proxy did not start" in str(unexpected)
        return
    assert code == 1
    assert "NOT AS TOLD:" in said


def test_it_serves_on_until_it_is_interrupted(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-u", "-m", "proxy", "demo", "--port", "0", "--policies", str(POLICIES)],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        # Where the tests themselves run in the background, an interrupt is ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert running.stdout is not None
    said = []
    for line in running.stdout:
        said.append(line)
        if "goes on serving at" in line:
            url = line.split(" at ")[1].split()[0]
        if "audit tail" in line:
            break
    with urllib.request.urlopen(urllib.request.Request(f"{url}/", method="HEAD")) as probe:
        assert probe.status == 200
    running.send_signal(signal.SIGINT)
    said.append(running.stdout.read())
    assert running.wait(PATIENCE) == 0, "".join(said)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_the_last_lines_are_printed_is_a_stop_too(tmp_path: Path) -> None:
    def say(line: str) -> None:
        if "audit tail" in line:
            raise KeyboardInterrupt
        said.append(line)

    said: list[str] = []
    assert demo.play(POLICIES, say, port=0, once=False) == 0
    assert said[-1] == "\nStopping."
