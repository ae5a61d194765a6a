"""figures come from /proc and are divided inside each round"""

from __future__ import annotations

import os
import subprocess
import sys

import orjson

from benchmarks import measure, report, watched
from benchmarks.contestants import BARE, RINGFENCE
from benchmarks.scenarios import Figure

_BUSY_CHILD = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "sum(range(20_000_000))"])
print("done", flush=True)
sys.stdin.read()
"""


def test_cpu_time_of_a_tree_holds_that_of_a_child_that_has_ended():
    program = subprocess.Popen(
        [sys.executable, "-c", _BUSY_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert program.stdout is not None
        program.stdout.readline()
        assert measure.cpu_seconds(program.pid) > 0.05
        assert measure.rss_kb(program.pid) > 1000
    finally:
        program.communicate()


def test_a_tree_holds_its_root_and_its_children():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert {os.getpid(), child.pid} <= set(measure.tree(os.getpid()))


def test_a_ratio_is_taken_inside_each_round_so_a_slow_round_does_not_move_it():
    rounds = [{BARE: 100.0, RINGFENCE: 50.0}, {BARE: 400.0, RINGFENCE: 200.0}, {BARE: 100.0, RINGFENCE: 60.0}]
    assert measure.ratios(rounds, BARE) == {RINGFENCE: measure.Spread(0.5, 0.5, 0.6)}


def _figure(bare: float, ours: float) -> Figure:
    return Figure("f", "us", [{BARE: bare, RINGFENCE: ours}])


def test_a_bar_is_missed_when_the_ratio_is_above_it():
    held = report.hold({"chat_fresh": _figure(100, 76), "chunk": _figure(100, 90)})
    assert [(each.bar.figure, each.met) for each in held] == [("chat_fresh", False), ("chunk", True)]


def test_the_longest_stall_is_held_against_its_bar_by_the_worst_round():
    figure = Figure(
        "stall", "ms", [{BARE: 9, RINGFENCE: 0.5}, {BARE: 9, RINGFENCE: 2.1}, {BARE: 9, RINGFENCE: 0.4}]
    )
    assert [each.met for each in report.hold({"stall": figure})] == [False]


def test_a_figure_without_the_proxy_meets_no_bar():
    assert report.hold({"chat_fresh": Figure("f", "us", [{BARE: 1.0}])}) == []


def test_the_table_names_every_contestant_and_its_ratio():
    text = report.table({"chat_fresh": _figure(200, 100)})
    assert f"| f | {RINGFENCE} | 100 [100-100] us | 0.50 [0.50-0.50] |" in text


def test_a_difference_has_no_ratio_in_the_table():
    figure = Figure("added", "us", [{BARE: -3.0, RINGFENCE: 7.0}], proportional=False)
    assert f"| added | {RINGFENCE} | 7.00 [7.00-7.00] us | - |" in report.table({"latency": figure})


def test_a_blocked_loop_is_seen_as_a_stall_of_its_own_making(tmp_path):
    program = tmp_path / "blocking.py"
    program.write_text(
        "import asyncio, time\n"
        "async def main():\n"
        "    for _ in range(8):\n"
        "        await asyncio.sleep(0.05)\n"
        "        until = time.thread_time() + 0.03\n"
        "        while time.thread_time() < until: pass\n"
        "    await asyncio.sleep(0.01)\n"
        "    time.sleep(0.05)\n"
        "    await asyncio.sleep(0.01)\n"
        "asyncio.run(main())\n"
    )
    found = tmp_path / "report.json"
    command = [sys.executable, "-m", "benchmarks.watched", str(found), "blocking"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    seen = watched.stalls(found, 0, 2**63)
    assert seen.wall >= 45
    # The two clocks are read one after the other.
    assert 25 <= seen.thread <= seen.program + 0.1
    assert seen.program <= seen.wall


def test_what_piles_up_while_the_core_was_taken_away_is_left_out_and_counted(tmp_path):
    ms = 1_000_000
    rows = [
        (100 * ms, 3 * ms, 2 * ms, 3 * ms),
        (200 * ms, 50 * ms, 9 * ms, 9 * ms),
        (208 * ms, 8 * ms, 8 * ms, 8 * ms),
        (400 * ms, 4 * ms, 1 * ms, 4 * ms),
    ]
    found = tmp_path / "report.json"
    found.write_bytes(orjson.dumps(rows))
    assert watched.stalls(found, 0, 2**63) == watched.Stalls(2.0, 4.0, 50.0, late=4, left_out=2)
