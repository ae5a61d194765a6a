"""what a check finds: how it stands, in words, and what to do"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from proxy.access import refusal
from proxy.core.errors import Mistake, Mistakes, RingfenceError


class State(Enum):
    """How a check ended; FAIL means that requests are or will be refused, or not protected as promised."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a report. `do` is what to do, "" when nothing is."""

    check: str
    state: State
    says: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check by name; `look` gives its findings and may raise what the product raises for operators."""

    name: str
    look: Callable[[], Iterable[Finding]]


def ok(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check, State.OK, says)


def warn(check: str, says: str, do: str) -> Finding:
    """It works, but not for long or not as well as it could."""
    return Finding(check, State.WARN, says, do)


def fail(check: str, says: str, do: str) -> Finding:
    """It does not work."""
    return Finding(check, State.FAIL, says, do)


def examined(check: Check) -> list[Finding]:
    """What a check finds; a mistake of the operator's is a finding too, in its own words."""
    found: list[Finding] = []
    try:
        found.extend(check.look())
    except Mistakes as group:
        found += [fail(check.name, str(mistake), "Correct it there.") for mistake in group.found]
    except Mistake as mistake:
        found.append(fail(check.name, str(mistake), "Correct it there."))
    except RingfenceError as error:
        found.append(fail(check.name, str(error), "See docs/reference/reasons.md."))
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        told = refusal(Path(error.filename), error) if error.filename else None
        says, do = told or (f"{error.strerror or type(error).__name__}{where}", "Give access to it.")
        found.append(fail(check.name, says, do))
    return found
