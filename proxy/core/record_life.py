"""records of the log's own life: opened, closed, loads, gaps, clock steps, rejected input"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from proxy.core.record_form import Draft, Stamp, clip, moment, stamped
from proxy.core.record_rows import policy_fields
from proxy.core.values import PolicyRef


@dataclass(frozen=True, slots=True)
class Previous:
    """The epoch before: its log id, size and root, and where it is damaged, if it is."""

    log: str
    size: int
    root: bytes
    damaged_at: int | None = None
    damage: str = ""


def opened(
    stamp: Stamp,
    *,
    engine: str,
    reason: str,
    previous: Previous | None = None,
    recovered: int = 0,
    unsafe: Sequence[str] = (),
) -> Draft:
    """A writer started a log. `recovered` counts the outcomes that it wrote for a crashed one.

    `unsafe` names the settings in force that weaken the promise.
    """
    draft = stamped("open", stamp) | {"engine": engine, "reason": reason, "recovered": recovered}
    if unsafe:
        draft["unsafe"] = list(unsafe)
    if previous is None:
        return draft
    draft |= {"prev_log": previous.log, "prev_size": previous.size, "prev_root": previous.root.hex()}
    if previous.damaged_at is not None:
        draft |= {"damaged_at": previous.damaged_at, "damage": clip(previous.damage, 160)}
    return draft


def closed(stamp: Stamp, *, reason: str) -> Draft:
    """A writer ended its log; nothing follows."""
    return stamped("close", stamp) | {"reason": reason}


def heartbeat(stamp: Stamp) -> Draft:
    """Nothing happened for a while: silence and deletion would look alike."""
    return stamped("heartbeat", stamp)


def gap(stamp: Stamp, counts: Mapping[str, int], *, first: datetime, last: datetime, reason: str) -> Draft:
    """What could not be written between two instants, counted by kind."""
    known = {kind: count for kind, count in counts.items() if count > 0}
    times = {"from": moment(first), "to": moment(last)}
    return stamped("gap", stamp) | times | {"counts": known, "reason": reason}


def clock_step(stamp: Stamp, *, step_us: int) -> Draft:
    """The wall clock moved against the monotonic one, by this many microseconds."""
    return stamped("clock_step", stamp) | {"step_us": step_us}


def reject(stamp: Stamp, reason: str, *, peer: str = "", in_len: int | None = None) -> Draft:
    """Input by nobody that we know: malformed, unauthenticated or oversized. Best effort."""
    draft = rejects(stamp, reason, 1, first=stamp.at, last=stamp.at)
    if peer:
        draft["peer"] = peer
    if in_len is not None:
        draft["in_len"] = in_len
    return draft


def rejects(stamp: Stamp, reason: str, count: int, *, first: datetime, last: datetime) -> Draft:
    """Many such inputs in one record."""
    times = {"first": moment(first), "last": moment(last)}
    return stamped("reject", stamp) | times | {"reason": reason, "count": count}


def crashed(stamp: Stamp, *, rid: str, attempt: int, project: str, intent: tuple[str, int]) -> Draft:
    """The outcome of an intent whose real one a crash took; `intent` is its log and number."""
    draft = stamped("outcome", stamp) | {"rid": rid, "attempt": attempt, "end": "unknown_crash"}
    draft |= {"intent_log": intent[0], "intent_seq": intent[1]}
    return draft | {"project": project} if project else draft


def not_sent(stamp: Stamp, *, rid: str, attempt: int, project: str) -> Draft:
    """The outcome of an intent that became durable although nobody waited for it any more."""
    draft = stamped("outcome", stamp) | {"rid": rid, "attempt": attempt, "end": "not_sent"}
    return draft | {"project": project} if project else draft


def policy_load(
    stamp: Stamp, policies: Sequence[PolicyRef], *, revision: str = "", reason: str = "", mistakes: int = 0
) -> Draft:
    """A set of policies became active, or could not (`reason` then says why, and the old one stays)."""
    draft = stamped("policy_load", stamp) | {"ok": not reason, **policy_fields(policies)}
    return draft | _load(revision, reason, mistakes)


def catalog_load(
    stamp: Stamp,
    *,
    digest: str,
    age_s: int,
    routes: int,
    changes: Mapping[str, int] | None = None,
    revision: str = "",
    reason: str = "",
) -> Draft:
    """A catalogue became active, or could not. `changes` counts rows: worse, better, gone, new."""
    draft = stamped("catalog_load", stamp) | {"ok": not reason, "routes": routes}
    if digest:
        draft["catalog"] = {"digest": digest, "age_s": age_s}
    counts = {name: count for name, count in (changes or {}).items() if count > 0}
    if counts:
        draft["changes"] = counts
    return draft | _load(revision, reason, 0)


def key_rotate(stamp: Stamp, *, key: str, old: str, new: str) -> Draft:
    """A signing or pseudonym key was replaced; `old` and `new` are key ids, never keys."""
    return stamped("key_rotate", stamp) | {"key": key, "old": old, "new": new}


def erasure(stamp: Stamp, *, key: str, scope: str, authority: str) -> Draft:
    """A key was destroyed, and with it the meaning of what it committed to."""
    return stamped("erasure", stamp) | {"key": key, "scope": scope, "authority": authority}


@dataclass(frozen=True, slots=True)
class Final:
    """A log at its end: id, size, root, time of the last record, and how many a signed head covers."""

    log: str
    size: int
    root: bytes
    last: str
    covered: int


def prune(stamp: Stamp, log: Final, *, keep_s: int) -> Draft:
    """A log that nobody writes to any more is about to be deleted; records are kept for `keep_s` seconds."""
    draft = stamped("prune", stamp) | {"pruned": log.log, "size": log.size, "root": log.root.hex()}
    return draft | {"last": log.last, "covered": log.covered, "keep_s": keep_s}


def export(stamp: Stamp, *, form: str, from_seq: int, to_seq: int, authority: str = "") -> Draft:
    """Records were handed out."""
    draft = stamped("export", stamp) | {"format": form, "from_seq": from_seq, "to_seq": to_seq}
    return draft | {"authority": authority} if authority else draft


def _load(revision: str, reason: str, mistakes: int) -> Draft:
    draft: Draft = {"revision": revision} if revision else {}
    if reason:
        draft |= {"reason": reason, "mistakes": mistakes}
    return draft
