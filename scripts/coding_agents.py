"""run the pinned coding agents: installed by npm from a lock file, set up as docs/agents.md says"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "tests" / "agents"
PAGE = ROOT / "docs" / "agents.md"
PATIENCE = 120.0
"""Seconds after which an agent counts as stuck."""
_PROXY, _KEY = "http://localhost:8080", "rf-..."
# No address of the agents' makers can be reached by accident: only loopback goes without this proxy.
_NOWHERE = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
}


class Missing(Exception):
    """What is needed to run the agents is not on this machine."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent works, and whom it talks to: the proxy's URL without a path, and a key for it."""

    home: Path
    work: Path
    url: str
    key: str


@dataclass(frozen=True, slots=True)
class Ran:
    """How an agent ended, and all that its terminal showed."""

    code: int
    said: str


def installed() -> Path:
    """The folder of npm packages, made what the lock file says; raises `Missing` without node or npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("coding agents need node and npm, which are not on this machine")
    lock, modules = FOLDER / "package-lock.json", FOLDER / "node_modules"
    stamp, wanted = modules / ".ringfence", hashlib.sha256(lock.read_bytes()).hexdigest()
    with lock.open("rb") as held:
        # Two test processes must not install into one folder at once.
        fcntl.flock(held, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            # No script of a package runs: both ship a launcher that finds its binary without one.
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
            done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"npm could not install the coding agents:\n{done.stderr}")
            stamp.write_text(wanted)
    return modules


def versions() -> Mapping[str, str]:
    """The version of each agent that is installed, by package."""
    found = re.findall(r'"(@[\w-]+/[\w-]+)": "([\d.]+)"', (FOLDER / "package.json").read_text())
    return dict(found)


def repository(work: Path, *, remote: str) -> Path:
    """Make a git repository with one commit and a remote: what agents report on their workplace."""
    work.mkdir()
    git = ["git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    for words in (
        ["init", "--quiet"],
        ["commit", "--quiet", "--allow-empty", "--message", "Begin"],
        ["remote", "add", "origin", remote],
    ):
        subprocess.run([*git, *words], cwd=work, check=True)
    return work


def claude_code(place: Place, *words: str, settings: Mapping[str, str] | None = None) -> Ran:
    """Run Claude Code; `settings` are environment variables laid over the documented ones."""
    return _run(claude_command(*words), place, {**claude_settings(place), **(settings or {})})


def claude_command(*words: str) -> list[str]:
    """How Claude Code is started."""
    return ["node", str(installed() / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"), *words]


def claude_settings(place: Place) -> dict[str, str]:
    """The environment that docs/agents.md tells Claude Code's users to set."""
    block = _block("Claude Code", "sh")
    return {name: _filled(value, place) for name, value in re.findall(r"export (\w+)=(\S+)", block)}


def codex(place: Place, *words: str, config: str | None = None) -> Ran:
    """Run `codex exec`; `config` replaces the documented config.toml."""
    folder = place.home / ".codex"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(codex_config(place) if config is None else config, encoding="utf-8")
    # What the agent runs is what a scenario of ours says, in a folder of its own: it needs no sandbox,
    # and not every machine can make one.
    command = ["node", str(installed() / "@openai" / "codex" / "bin" / "codex.js"), "exec"]
    return _run([*command, "--sandbox", "danger-full-access", *words], place, {"RINGFENCE_KEY": place.key})


def codex_config(place: Place) -> str:
    """The configuration that docs/agents.md tells Codex's users to write."""
    return _filled(_block("Codex", "toml"), place)


def environment(place: Place, settings: Mapping[str, str]) -> dict[str, str]:
    """A whole environment: a home of its own, no way out but loopback, and the settings."""
    return {"PATH": os.environ["PATH"], "HOME": str(place.home), **_NOWHERE, **settings}


def _run(command: list[str], place: Place, settings: Mapping[str, str]) -> Ran:
    done = subprocess.run(
        command,
        cwd=place.work,
        env=environment(place, settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"))


def _block(section: str, language: str) -> str:
    """The first block of a language in a section of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    if found is None:
        raise ValueError(f"{PAGE} shows no {language} in its section {section}")
    return found[1]


def _filled(text: str, place: Place) -> str:
    return text.replace(_PROXY, place.url).replace(_KEY, place.key)
