"""A crowd seen from the event loop: how many of it go on in one turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sized


async def most_in_one_turn(gone_on: Sized, whole: int) -> int:
    """The most that were added to `gone_on` in one turn of the loop, until there are `whole`."""
    before, most = len(gone_on), 0
    while len(gone_on) < whole:
        await asyncio.sleep(0)
        before, most = len(gone_on), max(most, len(gone_on) - before)
    return most
