"""ringfence policy: check what is written, test what it means, print the schema"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import click
import orjson

from proxy.core.attestations import read_attestations
from proxy.core.errors import Mistake, Mistakes
from proxy.core.places import Countries, read_countries
from proxy.core.policy import Policy, read_policies, with_waivers
from proxy.core.policy_schema import policy_schema
from proxy.core.strict_yaml import Document, load
from proxy.core.suite import run_suite, unnamed
from proxy.core.suite_file import Suite, read_suite
from proxy.core.waivers import read_waivers
from proxy.sources import policy_files

EXIT_INVALID = 3
EXIT_FAILED = 4

_PATHS = click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), required=True)


@click.group()
def command() -> None:
    """Check policies, test them, and print their schema.

    Exit codes: 0 all is well, 3 a file cannot be taken as written, 4 a test failed.
    """


@command.command()
@_PATHS
def check(paths: tuple[Path, ...]) -> None:
    """Report every mistake in policies, attestations, waivers and suites, with file, line and column.

    PATHS are files or folders. A folder's *.yaml and *.yml files are told apart by what they hold.
    """
    found = _load(paths)
    for policy in found.policies:
        click.echo(f"{policy.file}: policy {policy.id} is sound")
        for signal, treatment in sorted(policy.features.items()):
            click.echo(f"    features.{signal.value}: {treatment.value}")
    for suite in found.suites:
        click.echo(f"{suite.file}: suite {suite.name} is sound, {len(suite.cases)} cases")
    click.echo(
        f"{len(found.policies)} policies, {found.attestations} attestations, {len(found.suites)} suites"
    )


@command.command()
@_PATHS
def test(paths: tuple[Path, ...]) -> None:
    """Run the *_test.yaml suites in PATHS against the policies beside them."""
    found = _load(paths)
    reports = [run_suite(suite, found.policies) for suite in found.suites]
    for report in reports:
        click.echo("\n".join(report.lines()))
    untested = unnamed(found.suites, found.policies)
    for name in untested:
        click.echo(f"FAIL {name}: no suite tests this policy")
    if not reports:
        click.echo("no *_test.yaml file found: nothing was tested", err=True)
    if untested or not reports or not all(report.passed for report in reports):
        raise SystemExit(EXIT_FAILED)


@command.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
def schema(out: Path | None) -> None:
    """Print the JSON Schema of a policy file, for editors."""
    text = orjson.dumps(policy_schema(), option=orjson.OPT_INDENT_2).decode() + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


# -- reading folders -------------------------------------------------------------------------------


class _Found:
    """Everything that a set of paths holds; `attestations` is their number."""

    def __init__(self) -> None:
        self.policies: tuple[Policy, ...] = ()
        self.suites: list[Suite] = []
        self.attestations = 0


def _load(paths: Sequence[Path]) -> _Found:
    """Read every file, or tell every mistake and exit with code 3."""
    mistakes: list[Mistake] = []
    documents = _documents(paths, mistakes)
    found = _Found()
    countries = read_countries(table("countries.yaml"))
    mistakes += _passed_over(paths, documents)
    try:
        found.policies = read_policies([doc for doc in documents if _kind(doc) == "policy"], countries)
    except Mistakes as group:
        mistakes += group.found
    for doc in documents:
        try:
            _read(doc, found, countries)
        except Mistakes as group:
            mistakes += group.found
    if mistakes:
        for mistake in Mistakes(mistakes).found:
            click.echo(str(mistake), err=True)
        raise SystemExit(EXIT_INVALID)
    return found


def _read(doc: Document, found: _Found, countries: Countries) -> None:
    if _kind(doc) == "suite":
        found.suites.append(read_suite(doc, countries, table("gateway.yaml")))
    elif _kind(doc) == "attestations":
        found.attestations += len(read_attestations(doc, countries))
        waivers = read_waivers(doc)
        if waivers:
            found.policies = with_waivers(found.policies, waivers, doc.name)


def _kind(doc: Document) -> str:
    if not isinstance(doc.data, dict):
        return "policy"
    if "suite" in doc.data or doc.name.endswith("_test.yaml"):
        return "suite"
    return (
        "attestations"
        if doc.data.keys() & {"attestations", "waivers"} and "policy" not in doc.data
        else "policy"
    )


def _passed_over(paths: Sequence[Path], documents: Iterable[Document]) -> list[Mistake]:
    """List the policies that the proxy would not read because of how their files are named."""
    read = set(map(str, policy_files(paths)))
    why = "in a folder, the proxy takes no file of this name for a policy; rename the file"
    return [doc.mistake((), why) for doc in documents if _kind(doc) == "policy" and doc.name not in read]


def _documents(paths: Sequence[Path], mistakes: list[Mistake]) -> list[Document]:
    documents: list[Document] = []
    for path in _files(paths):
        try:
            documents.append(load(path.read_bytes(), str(path)))
        except Mistakes as group:
            mistakes += group.found
    return documents


def _files(paths: Iterable[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
        found.update(dict.fromkeys(inside))
    return list(found)


def table(name: str) -> Any:
    """Read one of the tables that ship with the product."""
    text = resources.files("proxy.tables").joinpath(name).read_bytes()
    return load(text, name).data
