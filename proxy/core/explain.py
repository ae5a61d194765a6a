"""a Decision -> plain sentences: refusal, CLI, page, record

A stranger who is refused should understand it without documentation: what was asked, by which
policy and why, what is missing, what would change the verdict, and which routes comply today.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from proxy.core.json_path import written
from proxy.core.reasons import reason
from proxy.core.values import Call, Decision, Effect, Finding, Outcome, Refusal, Signal

_MOST_GAPS = 16
_MOST_WORDS = 160
_MOST_MEMBERS = 5
_UNKNOWN_MEMBER = f"features.{Signal.UNKNOWN_MEMBER.value}"
_HEADS = ("policy", "about", "asked", "claimed", "verdict")
_VERDICTS = {
    Outcome.MET: "met",
    Outcome.UNMET: "NOT MET",
    Outcome.UNKNOWN: "UNKNOWN",
    Outcome.WAIVED: "waived",
}


def refusal(decision: Decision, call: Call, *, decision_id: str) -> Refusal:
    """Word a denial for its sender; the message may name the sender's own model."""
    why = reason(decision.reason)
    return Refusal(
        status=why.status or 403,
        code=why.code,
        message=" ".join(sentences(decision, call)),
        decision_id=decision_id,
        param=_param(decision, call),
        remedies=remedies(decision, call),
        alternatives=tuple(decision.alternatives),
    )


def plain_refusal(
    code: str,
    detail: str = "",
    *,
    decision_id: str = "",
    param: str | None = None,
    retry_after: int | None = None,
) -> Refusal:
    """Word a refusal that rests on no decision: a request that cannot be read, a limit, a fault."""
    why = reason(code)
    return Refusal(
        status=why.status or 403,
        code=why.code,
        message=" ".join(part for part in (why.meaning, _sentence(detail), why.advice) if part),
        decision_id=decision_id,
        param=param,
        remedies=(why.advice,),
        retry_after=retry_after,
    )


def sentences(decision: Decision, call: Call) -> tuple[str, ...]:
    """Tell a decision in plain sentences, the verdict first."""
    if decision.allowed:
        return _allowed(decision, call)
    told = [_verdict(decision, call), *_policies(decision), *_gaps(decision, call)]
    advice = remedies(decision, call)
    if advice:
        told.append(f"What would make it compliant: {'; '.join(advice)}.")
    if decision.alternatives:
        told.append(f"Or use a route that complies today: {', '.join(decision.alternatives)}.")
    elif _failing(decision):
        told += _no_other(decision)
    return tuple(told)


def remedies(decision: Decision, call: Call | None = None) -> tuple[str, ...]:
    """List what would change the verdict, each once, in the order of the findings.

    `call` is given where the sender reads it: only he may be told the names of his own members.
    """
    found = [_remedy(finding, call) for finding in _failing(decision) if finding.remedy]
    if not found and not decision.allowed:
        found = [reason(decision.reason).advice.rstrip(".")]
    return tuple(dict.fromkeys(found))[:_MOST_GAPS]


def table(decision: Decision) -> str:
    """Lay every finding out as a text table for a terminal, with the verdict below."""
    rows = [_HEADS, *(_row(finding) for finding in decision.findings)]
    widths = [min(max(len(row[i]) for row in rows), 44) for i in range(len(_HEADS))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join((*lines, "", *_foot(decision)))


# -- sentences -------------------------------------------------------------------------------------


def _verdict(decision: Decision, call: Call) -> str:
    meaning = reason(decision.reason).meaning
    return f"Ringfence refused {_asked(call)} before it left. {meaning}"


def _asked(call: Call) -> str:
    named = call.models[0] if call.models else ""
    model = f"the model {_clip(named)!r}" if named else "a request without a model"
    return f"{model} ({call.operation})" if call.operation else model


def _policies(decision: Decision) -> list[str]:
    failing = tuple(dict.fromkeys(finding.policy for finding in _failing(decision)))
    if not failing:
        return []
    because = decision.because if len(decision.because) == len(failing) else ()
    if not because:
        return [f"By {_policy_word(failing)} {', '.join(failing)}."]
    order = sorted(failing)
    told = (f"{name} ({_sentence(why).rstrip('.')})" for name, why in zip(order, because, strict=True))
    return [f"By {_policy_word(failing)} {', '.join(told)}."]


def _policy_word(names: Sequence[str]) -> str:
    return "policy" if len(names) == 1 else "policies"


def _gaps(decision: Decision, call: Call) -> list[str]:
    gaps = list(dict.fromkeys(_gap(finding, decision, call) for finding in _failing(decision)))
    if not gaps:
        return []
    left = len(gaps) - _MOST_GAPS
    tail = f"; and {left} more" if left > 0 else ""
    return [f"What is missing: {'; '.join(gaps[:_MOST_GAPS])}{tail}."]


def _no_other(decision: Decision) -> list[str]:
    about = {f.dimension.split(".")[0] for f in _failing(decision)}
    if "gateway" in about:
        return ["No other route helps, because the gateway itself is what falls short."]
    return [] if about == {"features"} else ["No other route of this kind was found that complies today."]


def _gap(finding: Finding, decision: Decision, call: Call) -> str:
    if finding.dimension == _UNKNOWN_MEMBER:
        return f"no table knows {_members(call)} ({finding.dimension}: {finding.asked})"
    if finding.dimension.startswith("features."):
        return f"{finding.claimed} is not let through ({finding.dimension}: {finding.asked})"
    several = len({f.route for f in decision.findings if f.route}) > 1
    where = f" on {finding.route}" if several and finding.route else ""
    verdict = "is unknown" if finding.outcome is Outcome.UNKNOWN else "is not met"
    asks = f"asked: {finding.asked}; found: {_clip(finding.claimed)}"
    return f"{finding.dimension}{where} {verdict} ({asks})"


def _allowed(decision: Decision, call: Call) -> tuple[str, ...]:
    route = decision.route.id if decision.route else ""
    told = [f"Ringfence lets {_asked(call)} pass, served by {route}."]
    if decision.rewrites:
        told.append(f"It was changed first: {', '.join(decision.rewrites)}.")
    if decision.attestations:
        told.append(f"It rests on the attestations {', '.join(decision.attestations)}.")
    if decision.waivers:
        told.append(f"It rests on the waivers {', '.join(decision.waivers)}.")
    if decision.until:
        told.append(f"This holds until {decision.until:%Y-%m-%d %H:%M} UTC.")
    return tuple(told)


def _failing(decision: Decision) -> list[Finding]:
    return [f for f in decision.findings if f.outcome in (Outcome.UNMET, Outcome.UNKNOWN)]


def _remedy(finding: Finding, call: Call | None) -> str:
    if finding.dimension != _UNKNOWN_MEMBER or call is None:
        return finding.remedy
    return f"leave out {_members(call)}, or have the policy set unknown_members: drop"


def _members(call: Call) -> str:
    left = sum(len(effect.edits) for effect in _unknown(call)) - _MOST_MEMBERS
    names = islice(_unknown_members(call), _MOST_MEMBERS)
    return ", ".join(names) + (f" and {left} more" if left > 0 else "")


def _unknown(call: Call) -> Iterator[Effect]:
    return (effect for effect in call.effects if Signal.UNKNOWN_MEMBER in effect.signals)


def _unknown_members(call: Call) -> Iterator[str]:
    """The places of the members that no table knows, as their sender wrote them; there may be thousands."""
    for effect in _unknown(call):
        for edit in effect.edits:
            yield _clip(written(edit.pointer).removeprefix("$."))


def _param(decision: Decision, call: Call) -> str | None:
    if decision.reason == "unknown_member":
        return next(_unknown_members(call), None)
    if decision.reason == "feature_refused":
        refused = {f.source for f in _failing(decision) if f.dimension.startswith("features.")}
        paths = (effect.path for effect in call.effects if effect.row in refused and effect.path)
        return next((path.removeprefix("$.") for path in paths), None)
    return "model" if decision.reason != "no_matching_policy" else None


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _clip(text: str) -> str:
    return text if len(text) <= _MOST_WORDS else f"{text[: _MOST_WORDS - 1]}…"


# -- the table -------------------------------------------------------------------------------------


def _row(finding: Finding) -> tuple[str, ...]:
    about = f"{finding.dimension} @ {finding.route}" if finding.route else finding.dimension
    claimed = finding.claimed
    if finding.waiver:
        claimed = f"{claimed} (waiver {finding.waiver})"
    elif finding.attestation:
        claimed = f"{claimed} (attestation {finding.attestation})"
    return finding.policy, about, finding.asked, claimed, _VERDICTS[finding.outcome]


def _line(row: Iterable[str], widths: Sequence[int]) -> str:
    cells = (_fit(cell, width) for cell, width in zip(row, widths, strict=True))
    return "  ".join(cells).rstrip()


def _fit(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else f"{cell[: width - 1]}…"


def _foot(decision: Decision) -> list[str]:
    if decision.allowed:
        lines = [f"allowed: {decision.route.id if decision.route else ''}"]
        lines += [f"changed: {change}" for change in decision.rewrites]
        lines += [f"holds until: {decision.until:%Y-%m-%d %H:%M} UTC"] if decision.until else []
        return lines
    lines = [f"refused: {decision.reason}: {reason(decision.reason).meaning}"]
    lines += [f"would help: {remedy}" for remedy in remedies(decision)]
    lines += [f"compliant now: {route}" for route in decision.alternatives]
    return lines
