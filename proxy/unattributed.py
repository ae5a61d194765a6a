"""what is nobody's that we know: counted and noted for the log, and no record of its own"""

from __future__ import annotations

import asyncio

from proxy.core.dialects.shape import shape_of
from proxy.core.explain import plain_refusal
from proxy.core.values import RawRequest, Reply
from proxy.evidence import Evidence
from proxy.metrics import NONE, Metrics, status_class
from proxy.shedding import SHED

_NOTHING = RawRequest("", "", "", (), b"")


class Unattributed:
    """Counts input without a caller, and answers what no request can be made of."""

    def __init__(self, evidence: Evidence, metrics: Metrics) -> None:
        self._evidence = evidence
        self._metrics = metrics
        self._shed = 0

    def reject(self, code: str, *, peer: str = "", size: int | None = None) -> None:
        """Count a request by nobody that we know; `size` is that of its body in bytes."""
        self._metrics.rejects.add(code)
        self._evidence.reject(code, peer=peer, size=size)

    def unfinished(self, code: str, *, peer: str) -> None:
        """Count a request whose end never came: there is nobody left to answer."""
        self.reject(code, peer=peer)

    def unparsable(self) -> Reply:
        """Answer bytes that are not an HTTP request."""
        self.reject("bad_request")
        return shape_of(_NOTHING, None).refuse(plain_refusal("bad_request"))

    def fault(self, error: object) -> Reply:
        """Answer for an error of our own, naming nothing of it but its class to the log."""
        self._evidence.fault(error)
        return shape_of(_NOTHING, None).refuse(plain_refusal("proxy_fault"))

    def shed(self) -> None:
        """Count a request that was refused before anybody looked at its key.

        All those of one turn of the loop are counted together: each has to cost next to nothing.
        """
        self._shed += 1
        if self._shed == 1:
            asyncio.get_running_loop().call_soon(self._count_shed)

    def _count_shed(self) -> None:
        amount, self._shed = self._shed, 0
        self._evidence.shed(amount)
        self._metrics.rejects.add(SHED, amount=amount)
        self._metrics.requests.add(NONE, NONE, "deny", SHED, status_class(503), amount=amount)
