"""write sbom.json, a CycloneDX bill of what is installed at run time, from the lock file

Run as `python -m scripts.sbom`. It says what `requirements.txt` pins: name, version, hashes of every file
that an installation may use, and the licence that the installed package states.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_PIN = re.compile(
    r"^([a-z0-9][a-z0-9.-]*)==([^ ;]+)[^\n]*\\\n((?:    --hash=sha256:[0-9a-f]{64}[^\n]*\n)+)", re.M
)


def bill(lock: str, version: str) -> dict[str, Any]:
    """The bill for the text of a lock file and our own version (CycloneDX 1.6)."""
    root = {"type": "application", "name": "ringfence", "version": version, "bom-ref": "ringfence"}
    components = list(_components(lock))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": [{"ref": "ringfence", "dependsOn": [each["bom-ref"] for each in components]}],
    }


def _components(lock: str) -> Iterator[dict[str, Any]]:
    for name, version, hashes in _PIN.findall(lock):
        reference = f"pkg:pypi/{name}@{version}"
        component = {
            "type": "library",
            "name": name,
            "version": version,
            "purl": reference,
            "bom-ref": reference,
            "hashes": [
                {"alg": "SHA-256", "content": digest}
                for digest in re.findall(r"sha256:([0-9a-f]{64})", hashes)
            ],
        }
        if licence := _licence(name):
            component["licenses"] = [{"license": {"name": licence}}]
        yield component


def _licence(name: str) -> str:
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    stated = next((about[field] for field in ("License-Expression", "License") if field in about), "")
    return stated.strip().splitlines()[0] if stated.strip() else ""


def main() -> int:
    """Write the bill beside the lock file."""
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    path = ROOT / "sbom.json"
    path.write_text(json.dumps(bill(lock, metadata.version("ringfence")), indent=1) + "\n", encoding="utf-8")
    print(f"{path.name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
