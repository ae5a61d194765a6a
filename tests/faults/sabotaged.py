"""A proxy that breaks one promise on purpose: `python sabotaged.py WHICH serve ...`.

Only the tests start it, to show that they would notice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from proxy.cli import main
from proxy.core.values import Receipt
from proxy.evidence import Evidence
from proxy.gateway import Gateway
from proxy.journal import Journal, start

NOT_WRITTEN = Receipt("nowhere/r0/w0/000001", 0, "0" * 64)


def sends_without_waiting() -> None:
    """The intent is handed over and the request sent, whether it is durable or not."""

    async def at_once(self: Journal, draft: Any) -> Receipt:
        self.submit(draft)
        return NOT_WRITTEN

    Journal.append = at_once  # type: ignore[method-assign]


def sends_first() -> None:
    """The request is sent, and the intent written when its answer has come."""
    write, send = Evidence.intent, Gateway.send
    asked: dict[int, tuple[Any, ...]] = {}

    async def later(self: Evidence, visit: Any, request: Any, *, model: str, **more: Any) -> Receipt:
        asked[id(request)] = (self, visit, request, model)
        return NOT_WRITTEN

    async def sent(self: Gateway, approval: Any, receipt: Any, request: Any, *, key: bytes) -> Any:
        reply = await send(self, approval, receipt, request, key=key)
        evidence, visit, request, model = asked.pop(id(request))
        await write(evidence, visit, request, model=model)
        return reply

    Evidence.intent = later  # type: ignore[method-assign]
    Gateway.send = sent  # type: ignore[method-assign]


def tells_twice() -> None:
    """Every outcome is written twice."""
    tell = Evidence.outcome

    def twice(self: Evidence, visit: Any, served: Any) -> None:
        tell(self, visit, served)
        tell(self, visit, served)

    Evidence.outcome = twice  # type: ignore[method-assign]


def forgets_what_was_open() -> None:
    """A start does not look for what the crash before it cut off."""

    def nothing(*_: Any) -> Iterator[Any]:
        return iter(())

    start._closing = nothing  # type: ignore[assignment]


WAYS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (sends_without_waiting, sends_first, tells_twice, forgets_what_was_open)
}

if __name__ == "__main__":
    WAYS[sys.argv.pop(1)]()
    main()
