"""Stops in a process that does little else: before anything is open, while it is made, and at the end."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest


def run(program: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_a_stop_before_anything_is_open_ends_it_at_once_whatever_stands_around_it(name: str) -> None:
    assert run(f"""
        import os, signal
        from proxy.stops import leave_when_told
        leave_when_told()
        try:
            os.kill(os.getpid(), signal.{name})
        except BaseException:
            pass
        print("goes on")
    """) == (0, "", "")  # fmt: skip


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_a_stop_that_is_kept_reaches_whoever_handles_it_when_the_loop_turns(name: str) -> None:
    assert run(f"""
        import asyncio, os, signal, uvloop
        from proxy.stops import keep_stops, leave_when_told, let_stops_in
        leave_when_told()
        async def work():
            keep_stops()
            os.kill(os.getpid(), signal.{name})
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.{name}, stop.set)
            await let_stops_in()
            print(stop.is_set())
        uvloop.run(work())
    """) == (0, "True\n", "")  # fmt: skip


def test_work_that_is_done_ends_the_process_whatever_still_waits() -> None:
    assert run("""
        import asyncio, time
        from proxy.stops import to_the_end
        async def work():
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
        asyncio.run(to_the_end(work()))
    """) == (0, "", "")  # fmt: skip


def test_work_that_fails_says_why() -> None:
    code, _, said = run("""
        import asyncio
        from proxy.stops import to_the_end
        async def work():
            raise OSError("no room")
        asyncio.run(to_the_end(work()))
    """)
    assert code == 1
    assert "no room" in said
