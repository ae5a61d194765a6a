"""audit records as lines and pages for people"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from proxy.core.values import Json
from proxy.stores.reader import Entry

Record = Mapping[str, Json]
HEAD = ("TIME (UTC)", "VERDICT", "REASON / END", "MODEL", "PROJECT", "KEY", "ID")
"""The columns of the table of requests."""
_ORDER = (
    "kind",
    "t",
    "effect",
    "reason",
    "end",
    "tenant",
    "project",
    "key_id",
    "op",
    "model_req",
    "model_fwd",
)
_LISTS = ("rules", "route_row")


def request_cells(asked: Entry, ended: Entry | None) -> tuple[str, ...]:
    """A request as one row of that table."""
    record = asked.record
    why = str(record["reason"])
    if record["kind"] == "intent":
        why = _ending(ended.record) if ended is not None else "under way"
    who = (_word(record, "project"), _word(record, "key_id"))
    cells = (_time(record), str(record["effect"]), why, _model(record), *who, str(record["rid"]))
    return tuple(map(_plain, cells))


def line(entry: Entry) -> str:
    """Any record in one line."""
    record = entry.record
    parts = [_time(record), str(record["kind"]).ljust(12), *_words(record)]
    return _plain("  ".join(parts))


def _words(record: Record) -> Iterator[str]:
    kind = record["kind"]
    if kind in ("intent", "refusal"):
        yield from (str(record["effect"]).ljust(5), str(record["reason"]), _model(record))
        yield from (_word(record, "project"), str(record["rid"]))
    elif kind == "outcome":
        yield from (_ending(record), _usage(record), str(record["rid"]))
    elif kind == "reject":
        yield f"{record['reason']} x{record['count']}"
    elif kind == "open":
        recovered = f"{record['recovered']} outcomes recovered"
        yield f"{record['log']} ({record['reason']}), {recovered}, version {record['engine']}"
    elif kind == "policy_load":
        names = cast("list[dict[str, Json]]", record["policy"])
        verdict = "in force" if record["ok"] else f"not taken ({record.get('reason')})"
        yield f"{verdict}: {', '.join(str(each['id']) for each in names) or 'none'}"
    elif kind == "gap":
        yield f"{record['reason']}: {_counts(record['counts'])} between {record['from']} and {record['to']}"
    else:
        skip = {"v", "kind", "log", "seq", "prev", "eid", "t", "mono", "boot"}
        yield ", ".join(f"{name} {_plain(value)}" for name, value in record.items() if name not in skip)


def details(entry: Entry) -> str:
    """A record in full, for reading."""
    record = entry.record
    rows = [f"{entry.log}#{entry.seq}"]
    rows += [f"  {name:<12} {_plain(record[name])}" for name in _ORDER if name in record]
    rest = sorted(name for name in record if name not in (*_ORDER, *_LISTS))
    rows += [f"  {name:<12} {_plain(record[name])}" for name in rest]
    row = record.get("route_row")
    if isinstance(row, dict):
        rows.append(f"  route_row    {row['id']} (provider {row['provider']}), as it was evaluated:")
        posture = cast("dict[str, dict[str, Json]]", row["posture"])
        rows += [f"    {name:<28} {said['value']} ({said['basis']})" for name, said in posture.items()]
    rules = cast("list[dict[str, Json]]", record.get("rules") or [])
    if rules:
        rows.append("  rules")
        rows += [f"    {_rule(rule)}" for rule in rules]
    return "\n".join(map(_plain, rows)) + "\n"


def _rule(rule: Record) -> str:
    said = f"asked {_plain(rule['asked'])}; {_plain(rule['claimed'])} ({rule['basis']})"
    extra = "".join(
        f", {name} {_plain(rule[name])}" for name in ("attestation", "waiver", "route") if name in rule
    )
    return f"{rule['outcome']!s:<8}{rule['policy']}  {rule['about']}: {said}{extra}"


def _ending(record: Record) -> str:
    status = record.get("status")
    return f"{record['end']} {status}" if status is not None else str(record["end"])


def _usage(record: Record) -> str:
    parts = [
        f"{record[name]} {word}" for name, word in (("tok_in", "in"), ("tok_out", "out")) if name in record
    ]
    return " ".join(parts)


def _counts(counts: Json) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in counts.items()) if isinstance(counts, dict) else ""


def _model(record: Record) -> str:
    return _plain(record.get("model_fwd") or record.get("model_req") or "-")


def _word(record: Record, name: str) -> str:
    return _plain(record.get(name) or "-")


def _time(record: Record) -> str:
    return str(record["t"])[:23].replace("T", " ")


def _plain(value: Json) -> str:
    """A value on one line, without anything that a terminal would obey."""
    if isinstance(value, dict):
        if value.keys() == {"len", "mac"}:
            return f"[{value['len']} bytes, {value['mac']}]"
        return ", ".join(f"{name} {_plain(held)}" for name, held in value.items())
    if isinstance(value, list):
        return "; ".join(map(_plain, value)) or "none"
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()
