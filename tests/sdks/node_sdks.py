"""The SDKs for Node: installed as their lock file pins them, and one process that uses them on demand."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "node"
MISSING = None if shutil.which("node") and shutil.which("npm") else "node and npm are not on this machine"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a use came to: what the SDK gave, or its error; and each exchange below it."""

    said: Any
    error: dict[str, Any]
    exchanges: list[dict[str, Any]]

    @property
    def bodies(self) -> list[bytes]:
        """The bodies as they were handed to the connection."""
        return [base64.b64decode(each["body"] or "") for each in self.exchanges]

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of the last answer."""
        found: dict[str, str] = self.exchanges[-1]["answer"]
        return found


@dataclass(frozen=True, slots=True)
class Node:
    """A running process of `drive.mjs`."""

    process: subprocess.Popen[str]

    def ask(self, use: str, **fields: Any) -> Answer:
        """Do one use and wait for what comes of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"use": use, **fields}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the Node process has ended"
        found = json.loads(line)
        return Answer(found.get("said"), found.get("error", {}), found["exchanges"])


@contextmanager
def running_node() -> Iterator[Node]:
    """Node with the SDKs; installs them first where they are not what the lock file says."""
    _install()
    process = subprocess.Popen(
        ["node", "drive.mjs"], cwd=FOLDER, text=True, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Node(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


def _install() -> None:
    lock, modules = FOLDER / "package-lock.json", FOLDER / "node_modules"
    stamp, wanted = modules / ".ringfence", hashlib.sha256(lock.read_bytes()).hexdigest()
    with lock.open("rb") as held:
        # Two test processes must not install into one folder at once.
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"],
            cwd=FOLDER, env=dict(os.environ), capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"npm could not install the SDKs:\n{done.stderr}")
        stamp.write_text(wanted)
