"""how the process uses memory, so that neither the collector nor the allocator stops the loop"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_COLLECT_AFTER = (50_000, 50, 50)
# malloc.h of the GNU C library, and the largest size that it takes for the second one on 64 bits.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_FROM_THE_HEAP = 32 * 1024 * 1024
KEPT = 64 * 1024 * 1024
"""Bytes that may stay with the process after bodies that filled them have gone."""


def settle() -> None:
    """Make ready to serve: what is loaded by now lives as long as the process."""
    _rest_from_collecting()
    keep_freed()


def _rest_from_collecting() -> None:
    """Spare the collector what was loaded at the start: tables and catalogue live as long as the process.

    A request leaves hardly any cycles behind, so looking often finds nothing, and a full look stops
    every stream for as long as it takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def keep_freed() -> bool:
    """Keep up to `KEPT` bytes of freed memory for the next large body; False where malloc has no such choice.

    By default the GNU C library hands a body of megabytes back to the system when it ends, which takes a
    millisecond or two, and every page of the next one is a fault: mallopt(3).
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_THRESHOLD, _FROM_THE_HEAP) and mallopt(_M_TRIM_THRESHOLD, KEPT))
    return False
