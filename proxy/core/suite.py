"""policy test files -> a report

A suite states its own catalogue, attestations and time, so that it says the same on any day. It
fails when a case comes out otherwise than expected, and when a requirement was never seen both met
and unmet: such a requirement has not been tested.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from proxy.core.attested import Attested, gateway_posture
from proxy.core.catalog import read_catalogue
from proxy.core.decide import decide
from proxy.core.dimensions import NoDemand
from proxy.core.policy import Policy
from proxy.core.suite_file import Case, Suite
from proxy.core.values import Decision, Outcome, PolicyId


@dataclass(frozen=True, slots=True)
class Result:
    """How one case came out; no problems means that it passed."""

    case: Case
    decision: Decision
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """How a suite came out.

    `unseen` lists what it left untested: requirements that no case showed both met and unmet, and
    policies that it names and that were not given.
    """

    suite: str
    results: tuple[Result, ...]
    unseen: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Tell whether every case passed and every requirement was tested both ways."""
        return not self.unseen and all(not result.problems for result in self.results)

    def lines(self) -> list[str]:
        """Tell the report in lines for a terminal."""
        told = [f"{self.suite}: {len(self.results)} cases, {'passed' if self.passed else 'FAILED'}"]
        for result in self.results:
            told.append(f"  {'FAIL' if result.problems else 'ok  '} {result.case.name}")
            told += [f"         {problem}" for problem in result.problems]
        return told + [f"  FAIL {gap}" for gap in self.unseen]


def run_suite(suite: Suite, policies: Sequence[Policy]) -> Report:
    """Judge every case of a suite with the policies that it names, and no others."""
    tested = [policy for policy in policies if policy.id in suite.policies]
    results = tuple(_result(suite, case, tested) for case in suite.cases)
    missing = [
        f"{name}: no such policy was given" for name in suite.policies if name not in {p.id for p in tested}
    ]
    unseen = _unseen(tested, [result.decision for result in results])
    return Report(suite.name, results, (*missing, *unseen))


def _result(suite: Suite, case: Case, policies: Sequence[Policy]) -> Result:
    decision = judge_case(suite, case, policies)
    return Result(case, decision, tuple(_problems(case, decision)))


def judge_case(suite: Suite, case: Case, policies: Iterable[Policy]) -> Decision:
    """Decide on one case as the proxy would."""
    catalogue = read_catalogue(list(suite.rows), source=suite.file, fetched_at=case.at)
    on_file = [a for a in suite.attestations if a.id in case.attested]
    view = Attested(catalogue, on_file, case.at)
    return decide(
        case.call,
        case.caller,
        view.candidates(case.call.models[0]),
        policies,
        gateway_posture(case.gateway, on_file, case.at),
        at=case.at,
        catalogue=view,
    )


def _problems(case: Case, decision: Decision) -> Iterable[str]:
    expect = case.expect
    effect = "allow" if decision.allowed else "deny"
    if effect != expect.effect:
        yield f"expected {expect.effect}, came out {effect}: {_failing_words(decision)}"
    if expect.reason and decision.reason != expect.reason:
        yield f"expected the reason {expect.reason}, came out {decision.reason}"
    route = decision.route.id if decision.route else ""
    if expect.route and route != expect.route:
        yield f"expected the route {expect.route}, came out {route or 'none'}"
    yield from _finding_problems(expect.findings, decision)
    if expect.failing is not None and (failing := _failing(decision)) != set(expect.failing):
        yield f"expected exactly {_names(expect.failing)} to fail, failed: {_names(failing)}"
    edits = [f"{edit.op} /{'/'.join(map(str, edit.pointer))}" for edit in decision.edits]
    if expect.edits is not None and sorted(edits) != sorted(expect.edits):
        yield f"expected the edits {_names(expect.edits)}, came out {_names(edits)}"
    if expect.alternatives is not None and decision.alternatives != expect.alternatives:
        expected, found = _names(expect.alternatives), _names(decision.alternatives)
        yield f"expected the alternatives {expected}, came out {found}"


def _finding_problems(expected: Mapping[str, frozenset[Outcome]], decision: Decision) -> Iterable[str]:
    for dimension, outcomes in expected.items():
        found = {f.outcome for f in decision.findings if f.dimension == dimension}
        if found != outcomes:
            yield f"expected {dimension} to be {_names(outcomes)}, came out {_names(found)}"


def _failing(decision: Decision) -> set[str]:
    return {f.dimension for f in decision.findings if f.outcome in (Outcome.UNMET, Outcome.UNKNOWN)}


def _failing_words(decision: Decision) -> str:
    words = [f"{f.dimension} {f.outcome.value} ({f.claimed})" for f in decision.findings if f.remedy]
    return "; ".join(words) or decision.reason


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(str(name) for name in names)) or "none"


# -- what the cases have shown ---------------------------------------------------------------------


def _unseen(policies: Sequence[Policy], decisions: Sequence[Decision]) -> Iterable[str]:
    seen = {(f.policy, f.dimension, f.outcome) for decision in decisions for f in decision.findings}
    for policy in policies:
        for dimension in _demanded(policy):
            missing = [o for o in (Outcome.MET, Outcome.UNMET) if (policy.id, dimension, o) not in seen]
            if missing:
                words = " or ".join(outcome.value for outcome in missing)
                yield f"{policy.id}: no case shows {dimension} {words}"


def _demanded(policy: Policy) -> list[str]:
    route = [d.name for d, requirement in policy.requirements if not isinstance(requirement, NoDemand)]
    gateway = [f"gateway.{d.name}" for d, r in policy.gateway if not isinstance(r, NoDemand)]
    return route + gateway


def unnamed(suites: Iterable[Suite], policies: Iterable[Policy]) -> list[PolicyId]:
    """List the policies that no suite tests."""
    tested = {name for suite in suites for name in suite.policies}
    return sorted(policy.id for policy in policies if policy.id not in tested)
