"""A set-up in a folder, sound in every respect, for tests to spoil one thing of."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from proxy.config import Settings, read_settings
from proxy.keys import Scope, open_keys

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENVIRON = {"OPPER_API_KEY": "op-good-0123456789abcdef"}
POLICY = """\
policy: open
because: Nothing may train a model.
applies_to: {projects: [web]}
require: {training: forbidden}
"""


def sound(folder: Path, **config: Any) -> Settings:
    """Settings of a sound set-up; `config` is laid over the groups."""
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "open.yaml").write_text(POLICY)
    data = folder / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    if not (data / "keys.json").exists():
        open_keys(data / "keys.json", data / "pepper").create(Scope("web"), at=AT)
    settings: dict[str, Any] = {
        "data_dir": "data",
        "listen": {"port": 0},
        "admin": {"port": 0},
        "policies": {"paths": ["policies"]},
        "attestations": {"file": "attestations.yaml"},
    }
    for group, values in config.items():
        settings[group] = {**settings.get(group, {}), **values} if isinstance(values, dict) else values
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return read_settings(folder / "config.yaml", {})
