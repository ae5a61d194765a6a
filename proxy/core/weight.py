"""how much a judged call takes up in memory, so that what is remembered stays small

A sender chooses how many members a body has and how they are called, and a call holds the place of each one
that would have to be edited. Most calls have a few.
"""

from __future__ import annotations

from proxy.core.values import Call, Decision, Pointer

LIGHT = 512
"""The most that one call and its decision may weigh to be remembered; most weigh a tenth of it."""
_CHARACTERS = 256


def weigh(call: Call | None, decision: Decision) -> int:
    """The weight of a call with its decision, in units of one finding or one edit: 300 bytes, measured."""
    count = len(decision.findings) + len(decision.edits)
    if call is None:
        return count
    count += len(call.models) + len(call.repeats)
    count += sum(1 + len(effect.edits) for effect in call.effects)
    if count > LIGHT:
        return count
    letters = sum(map(len, call.models)) + sum(len(effect.path) for effect in call.effects)
    places = [*call.repeats, *call.fallbacks_at]
    places += [edit.pointer for effect in call.effects for edit in effect.edits]
    return count + (letters + sum(map(_letters, places))) // _CHARACTERS


def _letters(place: Pointer) -> int:
    return sum(len(step) for step in place if isinstance(step, str))
