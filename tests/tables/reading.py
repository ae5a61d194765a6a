"""Where the tables stand, and how their files read."""

from pathlib import Path
from typing import Any

import yaml

TABLES = Path(__file__).parents[2] / "proxy" / "tables"
MEMBERS, EFFECTS = TABLES / "members", TABLES / "effects"


def files(folder: Path) -> dict[str, Any]:
    """Every file of a folder of tables by its name."""
    return {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))
    }
