"""derive the members that bodies may have from the vendors' SDK types, keeping what people judged

Run as `python -m scripts.derive_members`. It reads `proxy/tables/members/*.yaml`, walks the SDK
classes that each file names and rewrites the file: members, kinds and literal values come from the
SDKs; classes, `open`, `!` and all that stands under `groups`, `added` and `added_values` stay as people
wrote them. A member that nobody has judged gets the class `?`, with which no table loads. `--check`
writes nothing, lists what differs and exits 1 when anything does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from scripts.sdk_types import Found, Site, Walk, named

TABLES = Path(__file__).parent.parent / "proxy" / "tables" / "members"
UNJUDGED = "?"
WIDTH = 108
VALUES_OF = "type"
"""Literal values are listed for the members of this name and for those of class `effect`."""

Table = dict[str, Any]


def derive(table: Table) -> Table:
    """The same table with what the installed SDKs say now."""
    old = table.get("shapes", {})

    places = _walk(table, {}).places
    alike = {
        path: {known for other in group for known in places[other]}
        for group in table.get("same", ())
        for path in group
    }
    walk = _walk(table, alike)
    shapes = {name: _shape(name, found, old) for name, found in walk.shapes.items()}
    for name, shape in old.items():
        kept = {key: shape[key] for key in ("added", "added_values") if key in shape}
        if kept:
            shapes.setdefault(name, {}).update(kept)
    sdks = {name: version(name) for name in table.get("sdks", {})}
    return {**table, "sdks": sdks, "shapes": shapes}


def _walk(table: Table, alike: Mapping[str, Iterable[Any]]) -> Walk:
    old = table.get("shapes", {})
    about_more = table.get("also", {})

    def is_open(shape: str, member: str) -> bool:
        return _judgement(old, shape, member)[1].removesuffix("!") == "open"

    def also(shape: str) -> list[Any]:
        more = [named(reference) for reference in about_more.get(shape, {}).get("types", ())]
        return [*more, *alike.get(shape, ())]

    walk = Walk(is_open, also)
    for about in table["tables"].values():
        site = Site()
        for reference in about.get("types", ()):
            site.add(named(reference))
        walk.root(about["root"], site.classes)
    walk.run()
    return walk


def _judgement(shapes: Mapping[str, Any], shape: str, member: str) -> tuple[str, str]:
    text = shapes.get(shape, {}).get("members", {}).get(member, UNJUDGED)
    judgement, _, kinds = text.partition(" ")
    return judgement, kinds


def _shape(name: str, found: Found, old: Mapping[str, Any]) -> Table:
    members: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for member, site in found.sites.items():
        if member in old.get(name, {}).get("added", {}):
            continue
        judgement, kinds = _judgement(old, name, member)
        strict = "!" if kinds.endswith("!") else ""
        members[member] = f"{judgement} {found.kinds[member]}{strict}"
        literals = _literals(site)
        if literals and (member == VALUES_OF or judgement == "effect"):
            values[member] = sorted(literals)
    shape: Table = {"members": members}
    if values:
        shape["values"] = values
    return shape


def _literals(site: Site) -> set[str]:
    """The literal texts of a place, or of the elements of its list; none where any text may stand."""
    if site.literals is None:
        return set()
    literals = set(site.literals)
    for hint in site.items:
        below = Site()
        below.add(hint)
        if below.literals is None:
            return set()
        literals |= below.literals
    return literals


# -- what differs ----------------------------------------------------------------------------------


def differences(file: str, old: Table, new: Table) -> Iterator[str]:
    """One line for each member that has to be judged, and for each that went or changed."""
    for name, shape in new["shapes"].items():
        before = old.get("shapes", {}).get(name, {})
        for member, text in shape.get("members", {}).items():
            was = before.get("members", {}).get(member)
            if text.startswith(UNJUDGED):
                yield f"{file}: {name}.{member} has to be judged ({text[2:]})"
            elif was != text:
                yield f"{file}: {name}.{member} was '{was}' and is now '{text}'"
        yield from _value_differences(f"{file}: {name}", before.get("values", {}), shape.get("values", {}))
    for name, shape in old.get("shapes", {}).items():
        for member in shape.get("members", {}):
            if member not in new["shapes"].get(name, {}).get("members", {}):
                yield f"{file}: {name}.{member} is in no SDK type any more"


def _value_differences(
    where: str, old: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    for member in sorted({*old, *new}):
        before, now = set(old.get(member, ())), set(new.get(member, ()))
        for value in sorted(now - before):
            yield f"{where}.{member} may now be '{value}'"
        for value in sorted(before - now):
            yield f"{where}.{member} may no longer be '{value}'"


# -- the file --------------------------------------------------------------------------------------


def written(table: Table) -> str:
    """A table as text: shapes in the order in which they are found, a member a line."""
    head = {key: value for key, value in table.items() if key != "shapes"}
    lines = [f"# {line}".rstrip() for line in LEGEND.strip().splitlines()]
    groups = head.pop("groups", {})
    lines += ["", _dump(head).rstrip(), *_groups(groups), "", "shapes:"]
    for name, shape in table["shapes"].items():
        lines.append(f"  {name}:" if any(shape.values()) else f"  {name}: {{}}")
        for part in ("members", "values", "added", "added_values"):
            if shape.get(part):
                lines.append(f"    {part}:")
                lines += _entries(shape[part])
    return "\n".join(lines) + "\n"


def _groups(groups: Mapping[str, Any]) -> Iterator[str]:
    if groups:
        yield "groups:"
    for name, entries in groups.items():
        yield f"  {name}:"
        yield from (line.removeprefix("  ") for line in _entries(entries))


def _entries(entries: Mapping[str, Any]) -> Iterator[str]:
    for key, value in entries.items():
        if isinstance(value, str):
            yield f"      {_scalar(key)}: {_scalar(value)}"
        else:
            yield _flow(f"      {_scalar(key)}", value)


def _flow(key: str, value: Any) -> str:
    flow = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).strip()
    line = f"{key}: {flow}"
    if len(line) <= WIDTH or not isinstance(value, list):
        return line
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    return "\n".join([f"{key}:", *(f"{indent}- {_scalar(item)}" for item in value)])


def _scalar(text: str) -> str:
    return yaml.safe_dump(text, width=10_000).removesuffix("...\n").strip()


def _dump(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, width=WIDTH, allow_unicode=True)
    return text


LEGEND = """
The members that bodies may have, at every depth. Written by `python -m scripts.derive_members` from
the SDK types named; the first word of each member, `open`, `!`, `added` and `added_values` are
judged by people and kept.

  member: CLASS KINDS     CLASS: content | neutral | effect | reference | routing ('?' = not judged)
  KINDS:  string number boolean, open (anything below), NAME of a shape, [KINDS] list,
          {KINDS} object with free names, | or, ! not null
  values: the texts that a member may have; any text where none are listed
  groups: members that a table's root takes `with`, whatever the SDK says

A shape is named by the first path that leads to it; `*` stands for the elements of a list.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the tables, or check them; the exit code is 1 when something has to be judged."""
    parser = argparse.ArgumentParser(description="Derive member tables from SDK types.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when anything differs")
    parser.add_argument("files", nargs="*", type=Path, help="tables; all of them by default")
    chosen = parser.parse_args(arguments)
    failed = False
    for path in chosen.files or sorted(TABLES.glob("*.yaml")):
        before = path.read_text(encoding="utf-8")
        old = yaml.safe_load(before)  # noqa: TID251 - a tool for developers, and the file is ours
        new = derive(old)
        for line in differences(path.name, old, new):
            print(line)
            failed = True
        if chosen.check:
            if not failed and written(new) != before:
                print(f"{path.name}: not as derived; run python -m scripts.derive_members")
                failed = True
        else:
            path.write_text(written(new), encoding="utf-8")
            failed = UNJUDGED in (text.split(" ")[0] for text in _texts(new))
    return int(failed)


def _texts(table: Table) -> Iterator[str]:
    for shape in table["shapes"].values():
        yield from shape.get("members", {}).values()


if __name__ == "__main__":
    sys.exit(main())
