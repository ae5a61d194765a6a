"""The packaged tables are read whole, once, and named by a digest over what was shipped."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib import resources

from proxy import facts
from proxy.core.dialects import DIALECTS
from tests.judging import ROOT


def test_every_table_of_the_package_is_part_of_the_digest() -> None:
    root = resources.files("proxy.tables")
    files = [
        f for name in ("members", "effects") for f in sorted((root / name).iterdir(), key=lambda f: f.name)
    ]
    shipped = [f for f in files if f.name.endswith(".yaml")]
    shipped += [root / name for name in ("headers.yaml", "countries.yaml", "gateway.yaml")]
    hashed = hashlib.sha256()
    for file in shipped:
        hashed.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    assert facts.read_facts().digest == "sha256:" + hashed.hexdigest()
    every = {f.name for f in root.iterdir() if f.name.endswith(".yaml")}
    assert every == {"headers.yaml", "countries.yaml", "gateway.yaml"}


def test_the_tables_are_read_once() -> None:
    assert facts.read_facts() is facts.read_facts()


def test_another_process_reads_the_same() -> None:
    code = "from proxy.facts import read_facts; print(read_facts().digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == facts.read_facts().digest


def test_every_endpoint_that_goes_upstream_has_its_member_table() -> None:
    members = facts.read_facts().tables.members
    for dialect in DIALECTS:
        for endpoint in dialect.endpoints:
            if endpoint.upstream:
                assert endpoint.members in members.tables, endpoint


def test_the_gateway_is_known_to_sit_in_sweden_and_to_say_nothing_of_its_retention() -> None:
    gateway = facts.read_facts().gateway
    assert (gateway["location"], gateway["content_retention"]) == ("SE", None)
    assert "SE" in facts.read_facts().countries.sets["EU"]
