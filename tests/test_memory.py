"""Large bodies that come and go leave their memory to the next ones, up to a limit."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ROUNDS = """
import resource, sys
from proxy.memory import keep_freed, settle
if sys.argv[1] == "kept":
    assert keep_freed()
if sys.argv[1] == "settled":
    settle()
def round(size):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bodies = [bytes(bytearray(b"x") * size) for _ in range(3)]
    del bodies
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([round(int(sys.argv[2])) for _ in range(6)][-1])
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library's malloc")


def faults(kind: str, size: int) -> int:
    """Pages that had to be fetched for three bodies of a size, when as many have gone before."""
    command = [sys.executable, "-c", ROUNDS, kind, str(size)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_large_body_finds_the_memory_of_the_one_before() -> None:
    size = 5 * 1024 * 1024
    assert faults("given back", size) > size // 4096
    assert faults("kept", size) < 100
    assert faults("settled", size) < 100


def test_what_is_more_than_that_goes_back_to_the_system() -> None:
    size = 28 * 1024 * 1024
    assert faults("kept", size) > size // 4096
