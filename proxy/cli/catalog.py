"""ringfence catalog: fetch the catalogue of routes, look at postures, compare them"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import orjson

from proxy.access import require_own
from proxy.catalogue_sync import CatalogueSync, SyncSettings, bundled, kept
from proxy.cli._settings import config_option, settings_from
from proxy.cli._table import print_table, printable
from proxy.config import Settings, read_gateway_keys
from proxy.core.catalog import Catalogue, CatalogueDiff, Change, diff
from proxy.core.dimensions import DIMENSIONS
from proxy.core.nearest import did_you_mean
from proxy.core.values import Basis, Claim, Route


@click.group("catalog")
def command() -> None:
    """Fetch the catalogue of routes, look at their postures, compare them."""


def _place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--base-url", help="The gateway whose catalogue is meant; else gateway.base_url."),
        click.option("--data-dir", type=click.Path(path_type=Path), help="Where it is kept; else data_dir."),
        config_option,
    ):
        function = option(function)
    return function


@command.command("sync")
@_place_options
@click.option("--keyless", is_flag=True, help="Send no key: fetch what everybody may see.")
@click.option("--accept-smaller", is_flag=True, help="Take it even with less than half the routes.")
def sync(keyless: bool, accept_smaller: bool, **place: Any) -> None:
    """Fetch the catalogue, put it in force and print what changed."""
    settings = settings_from(place["config"])
    require_own(place["data_dir"] or settings.data_dir)
    report = asyncio.run(_sync(settings, place, "" if keyless else _key(settings)).refresh(
        accept_smaller=accept_smaller
    ))  # fmt: skip
    if not report.replaced:
        status = f" (HTTP {report.status})" if report.status else ""
        raise click.ClickException(f"{report.message}{status} {_describe(report.catalogue)} stays in force.")
    click.echo(report.message)
    click.echo(f"{_describe(report.catalogue)}, {report.catalogue.digest}")
    if report.catalogue.dropped:
        click.echo(f"{report.catalogue.dropped} rows without a usable id were left out.")
    if report.catalogue.contradictory:
        click.echo(f"Listed more than once, with contradictions: {', '.join(report.catalogue.contradictory)}")
    if report.changes is not None:
        _print_diff(report.changes)


@command.command("list")
@_place_options
@click.option("--kind", help="Only routes of this kind, such as llm, image or embedding.")
@click.option("--provider", help="Only routes of this provider slug.")
@click.option("--model", help="Only routes of this model (its bare name).")
@click.option("--search", default="", help="Only routes whose id or name contains this text.")
@click.option("--known", multiple=True, type=click.Choice([d.name for d in DIMENSIONS]),
              help="Only routes that claim something on this dimension; may be repeated.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object per route.")
def listing(as_json: bool, known: tuple[str, ...], **rest: Any) -> None:
    """List routes with the main points of their posture."""
    catalogue = _load(rest)
    routes = [row for row in catalogue.routes if _wanted(row, known, rest)]
    if as_json:
        for row in routes:
            click.echo(orjson.dumps(_as_json(row)).decode())
        return
    head = ("ROUTE", "KIND", "INFERENCE", "TRAINING", "ABUSE LOGS", "IN/OUT USD/M")
    shown = ("inference_location", "training", "retention.abuse_logs")
    rows = ((row.id, row.kind, *(_short(row, name) for name in shown), _price(row)) for row in routes)
    print_table(head, rows, widest=44)
    click.echo(f"{len(routes)} of {len(catalogue.routes)} routes. ? means unknown.", err=True)


@command.command("show")
@click.argument("route")
@_place_options
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def show(route: str, as_json: bool, **place: Any) -> None:
    """Show everything that is known of a route, what it rests on, and where it was read."""
    catalogue = _load(place)
    row = _find(catalogue, route)
    if as_json:
        click.echo(orjson.dumps(_as_json(row), option=orjson.OPT_INDENT_2).decode())
        return
    click.echo(row.id + (f"  ({printable(row.name)})" if row.name else ""))
    for label, value in _facts(row):
        click.echo(f"  {label:<18}{printable(value)}")
    click.echo()
    claims = ((name, row.posture[name]) for name in (d.name for d in DIMENSIONS))
    rows = ((name, _said(claim), claim.basis.value, claim.source) for name, claim in claims)
    print_table(("DIMENSION", "CLAIM", "BASIS", "SOURCE"), rows, widest=60, wrap=True)


@command.command("compare")
@click.argument("first")
@click.argument("second")
@_place_options
def compare(first: str, second: str, **place: Any) -> None:
    """Put two routes side by side: postures, prices, limits. A * marks what differs."""
    catalogue = _load(place)
    left, right = _find(catalogue, first), _find(catalogue, second)
    rows = [(label, a, b) for (label, a), (_, b) in zip(_facts(left), _facts(right), strict=True)]
    rows += [(d.name, _said(left.posture[d.name]), _said(right.posture[d.name])) for d in DIMENSIONS]
    marked = (("*" if a != b else "", name, a, b) for name, a, b in rows)
    print_table(("", "", left.id, right.id), marked, widest=52, wrap=True)


@command.command("diff")
@_place_options
@click.option("--bundled", "since_bundled", is_flag=True, help="Compare with the snapshot that ships along.")
def changes(since_bundled: bool, **place: Any) -> None:
    """Print what the last sync changed: worse, better, gone, new."""
    settings = settings_from(place["config"])
    new, old = kept(place["data_dir"] or settings.data_dir)
    old = bundled() if since_bundled else old
    if new is None or old is None:
        raise click.ClickException("There is nothing to compare with yet; run `ringfence catalog sync`.")
    click.echo(f"From {_describe(old)}")
    click.echo(f"to   {_describe(new)}")
    _print_diff(diff(old, new))


def _sync(settings: Settings, place: dict[str, Any], key: str) -> CatalogueSync:
    gateway = settings.gateway
    return CatalogueSync(SyncSettings(
        base_url=place["base_url"] or gateway.base_url, data_dir=place["data_dir"] or settings.data_dir,
        key=key, ca_file=Path(gateway.ca_file) if gateway.ca_file else None,
        allow_private_addresses=gateway.allow_private_addresses,
    ))  # fmt: skip


def _load(place: dict[str, Any]) -> Catalogue:
    """The catalogue in force; says on stderr which one it is, and when it is too old to be believed."""
    settings = settings_from(place["config"])
    catalogue = _sync(settings, place, "").load()
    click.echo(_describe(catalogue), err=True)
    age = datetime.now(UTC) - catalogue.fetched_at
    if age > timedelta(seconds=settings.catalog.max_age):
        click.echo("It is older than catalog.max_age: requests are judged as if every claim were unknown. "
                   "Run `ringfence catalog sync`.", err=True)  # fmt: skip
    return catalogue


def _key(settings: Settings) -> str:
    """The gateway key to fetch with, "" when none is set up."""
    gateway = settings.gateway
    set_up = bool(gateway.api_key_file or gateway.projects or os.environ.get(gateway.api_key_env or "", ""))
    if not set_up:
        return ""
    keys = read_gateway_keys(gateway)
    return keys.default or next(iter(keys.projects.values()), "")


def _find(catalogue: Catalogue, route: str) -> Route:
    found = catalogue.route(route)
    if found is None:
        pool = [row.id for row in catalogue.candidates(route).routes]
        nearest = did_you_mean(route, [row.id for row in catalogue.routes])
        hint = f"; it stands for {', '.join(pool)}" if pool else nearest
        raise click.ClickException(f"{route!r} is not the id of a route{hint}")
    return found


def _wanted(row: Route, known: Sequence[str], rest: dict[str, Any]) -> bool:
    exact = all(rest[name] in (None, getattr(row, name)) for name in ("kind", "provider", "model"))
    said = all(row.posture[name].basis is not Basis.UNKNOWN for name in known)
    return exact and said and rest["search"].lower() in f"{row.id} {row.name}".lower()


def _facts(row: Route) -> list[tuple[str, str]]:
    return [
        ("kind", row.kind or "-"), ("provider", row.provider), ("model", row.model or "-"),
        ("input USD/M", _number(row.price.input)), ("output USD/M", _number(row.price.output)),
        ("image USD", _number(row.price.image)), ("context window", _number(row.context_window)),
        ("maximum output", _number(row.max_output)), ("aliases", ", ".join(row.aliases) or "-"),
        ("successor", row.successor or "-"), ("pooled", "yes" if row.pooled else "no, by id only"),
        ("access", row.access or "-"), ("retired", _day(row.retired_at)), ("verified", _day(row.verified_at)),
    ]  # fmt: skip


def _as_json(row: Route) -> dict[str, Any]:
    claims = {name: {"value": claim.value, "basis": claim.basis.value, "words": claim.words,
                     "source": claim.source} for name, claim in row.posture.items()}  # fmt: skip
    return {
        "id": row.id, "name": row.name, "kind": row.kind, "provider": row.provider, "model": row.model,
        "price": {"input": row.price.input, "output": row.price.output, "image": row.price.image},
        "context_window": row.context_window, "max_output": row.max_output, "aliases": row.aliases,
        "successor": row.successor, "pooled": row.pooled, "access": row.access,
        "retired_at": row.retired_at, "verified_at": row.verified_at, "posture": claims,
    }  # fmt: skip


def _said(claim: Claim) -> str:
    if claim.basis is not Basis.UNKNOWN:
        return claim.words
    return f"unknown ({claim.words})" if claim.words and claim.words != "unknown" else "unknown"


def _short(row: Route, dimension: str) -> str:
    claim = row.posture[dimension]
    return claim.words if claim.basis is not Basis.UNKNOWN else "?"


def _price(row: Route) -> str:
    if row.price.image is not None:
        return f"{row.price.image:g} per image"
    if row.price.input is None and row.price.output is None:
        return "?"
    return f"{_number(row.price.input)} / {_number(row.price.output)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _day(value: datetime | None) -> str:
    return "-" if value is None else f"{value:%Y-%m-%d}"


def _describe(catalogue: Catalogue) -> str:
    fetched = f"{catalogue.fetched_at:%Y-%m-%d %H:%M} UTC"
    return f"{len(catalogue.routes)} routes from {catalogue.source}, {fetched}"


def _print_diff(found: CatalogueDiff) -> None:
    if not found:
        click.echo("Nothing changed.")
    for title, side in (("worse", found.worse), ("better", found.better), ("moved", found.moved)):
        _print_changes(title, side)
    for title, ids in (("gone", found.gone), ("new", found.new)):
        if ids:
            click.echo(f"{title} ({len(ids)}):")
        for each in ids:
            click.echo(f"  {each}")


def _print_changes(title: str, side: Sequence[Change]) -> None:
    if side:
        click.echo(f"{title} ({len(side)}):")
    for each in side:
        click.echo(printable(f"  {each.route}  {each.dimension}: {each.before} -> {each.after}"))
