"""how much of request bodies may be held in memory at a time, over all connections"""

from __future__ import annotations


class Turned(Exception):
    """A request that is turned away before its body was read; `code` is a reason code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class BodyBudget:
    """Bytes of request bodies that may be held in memory at a time, over all connections."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Claim room for `size` bytes, or turn the request away."""
        if self.held + size > self._limit:
            raise Turned("overloaded")
        self.held += size

    def release(self, size: int) -> None:
        """Give room back."""
        self.held -= size


class Share:
    """What one request holds of the budget."""

    __slots__ = ("_budget", "size")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold at least `size` bytes, or turn the request away."""
        if size > self.size:
            self._budget.take(size - self.size)
            self.size = size

    def release(self) -> None:
        """Give everything back."""
        self._budget.release(self.size)
        self.size = 0
