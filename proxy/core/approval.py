"""the right to forward one request, which only an allowing decision gives"""

from __future__ import annotations

from proxy.core.errors import RingfenceError
from proxy.core.findings import PASSES
from proxy.core.values import Decision, Route

_MINT = object()


class NotApproved(RingfenceError):
    """Something asked for the right to forward what no decision allows."""


class Approval:
    """The right to forward one request. Only `approve` can make one; forwarding asks for it."""

    __slots__ = ("decision", "route")

    def __init__(self, decision: Decision, route: Route, *, mint: object) -> None:
        if mint is not _MINT:
            raise NotApproved("an approval is made by proxy.core.approval.approve only")
        self.decision = decision
        self.route = route


def approve(decision: Decision, *, after: Decision | None = None) -> Approval:
    """Turn a decision into the right to forward, or raise `NotApproved`.

    When the decision orders rewrites, `after` must be the decision on the request as it reads after
    them: allowed, for the same route, by the same policies, with nothing left to rewrite.
    """
    route = _sound(decision)
    # A pin that stands in the path is a rewrite without an edit of the body.
    if decision.edits or decision.rewrites:
        if after is None:
            raise NotApproved("the edited request has not been judged again")
        same = _sound(after).id == route.id and after.policies == decision.policies
        if after.edits or after.rewrites or not same:
            raise NotApproved("the edited request was judged differently")
    return Approval(decision, route, mint=_MINT)


def _sound(decision: Decision) -> Route:
    """The route of a decision that has all that an allowing one has; a made-up one does not pass."""
    named = {finding.policy for finding in decision.findings}
    if not decision.allowed or decision.route is None or not decision.policies:
        raise NotApproved("the decision does not allow the request")
    if not named.issuperset(ref.id for ref in decision.policies):
        raise NotApproved("a policy of the decision has no finding")
    if any(finding.outcome not in PASSES for finding in decision.findings):
        raise NotApproved("a finding of the decision speaks against it")
    return decision.route
