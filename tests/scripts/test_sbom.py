"""The bill of materials names every pinned package, with its hashes."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.sbom import bill

LOCK = (Path(__file__).parent.parent.parent / "requirements.txt").read_text()


def test_every_pin_of_the_lock_file_is_in_the_bill_with_its_hashes() -> None:
    made = bill(LOCK, "1.2.3")
    pinned = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", LOCK, re.MULTILINE))
    assert {each["name"]: each["version"] for each in made["components"]} == pinned
    listed = [part["content"] for each in made["components"] for part in each["hashes"]]
    assert sorted(listed) == sorted(re.findall(r"sha256:([0-9a-f]{64})", LOCK))
    assert made["dependencies"][0]["dependsOn"] == [each["purl"] for each in made["components"]]


def test_a_package_states_its_licence() -> None:
    (aiohttp,) = [each for each in bill(LOCK, "1.2.3")["components"] if each["name"] == "aiohttp"]
    assert "Apache" in aiohttp["licenses"][0]["license"]["name"]
