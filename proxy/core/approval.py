"""the right to forward one request, which only an allowing decision gives"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.core.errors import RingfenceError
from proxy.core.findings import PASSES
from proxy.core.values import Decision, PolicyId, Route, RouteId

_MINT = object()


class NotApproved(RingfenceError):
    """Something asked for the right to forward what no decision allows."""


class Approval:
    """The right to forward one request. Only `approve` can make one; forwarding asks for it.

    `route` is the one asked for; `routes` are all that may serve, that one first.
    """

    __slots__ = ("decision", "route", "routes")

    def __init__(
        self, decision: Decision, route: Route, besides: tuple[Route, ...] = (), *, mint: object
    ) -> None:
        if mint is not _MINT:
            raise NotApproved("an approval is made by proxy.core.approval.approve only")
        self.decision = decision
        self.route = route
        self.routes = (route, *besides)

    @property
    def also(self) -> tuple[RouteId, ...]:
        """The ids of those that may serve besides the one asked for."""
        return tuple(route.id for route in self.routes[1:]) if len(self.routes) > 1 else ()


def approve(decision: Decision, *, after: Decision | None = None) -> Approval:
    """Turn a decision into the right to forward, or raise `NotApproved`.

    When the decision orders rewrites, `after` must be the decision on the request as it reads after
    them: allowed, for the same route, by the same policies, with nothing left to rewrite. What may
    serve besides is what that one says, for a rewrite may have taken a fallback out.
    """
    route, besides = _sound(decision), decision.besides
    # A pin that stands in the path is a rewrite without an edit of the body.
    if decision.edits or decision.rewrites:
        if after is None:
            raise NotApproved("the edited request has not been judged again")
        same = _sound(after).id == route.id and after.policies == decision.policies
        if after.edits or after.rewrites or not same or not _within(after.besides, besides):
            raise NotApproved("the edited request was judged differently")
        besides = after.besides
    return Approval(decision, route, besides, mint=_MINT)


def _within(routes: Sequence[Route], others: Sequence[Route]) -> bool:
    return not routes or {route.id for route in routes} <= {route.id for route in others}


def _sound(decision: Decision) -> Route:
    """The route of a decision that has all that an allowing one has; a made-up one does not pass."""
    named = {finding.policy for finding in decision.findings}
    if not decision.allowed or decision.route is None or not decision.policies:
        raise NotApproved("the decision does not allow the request")
    if not named.issuperset(ref.id for ref in decision.policies):
        raise NotApproved("a policy of the decision has no finding")
    if any(finding.outcome not in PASSES for finding in decision.findings):
        raise NotApproved("a finding of the decision speaks against it")
    if decision.besides and not _held_alike(decision, decision.route):
        raise NotApproved("a further route of the decision was not judged as its main one")
    return decision.route


def _held_alike(decision: Decision, main: Route) -> bool:
    """Whether all that was asked of the main route was asked of each further one."""
    asked: dict[str, set[tuple[PolicyId, str]]] = {}
    for finding in decision.findings:
        asked.setdefault(finding.route, set()).add((finding.policy, finding.dimension))
    of_main = asked.get(main.id, set())
    return all(asked.get(other.id, set()) >= of_main for other in decision.besides)
