"""a real server that behaves like the documented Opper API, for demo and tests

`async with Simulator() as simulator` runs one in this loop; `ringfence simulate` runs one as a
program. Nothing in it talks to a model or leaves the machine.
"""

from __future__ import annotations

from proxy.simulator.faults import Fault
from proxy.simulator.rows import Rows
from proxy.simulator.scenario import Call, CreateFile, RunCommand, Say, Scenario, create_file, read_scenario
from proxy.simulator.server import Options, Simulator
from proxy.simulator.witness import Seen, Witness, read_witness

__all__ = [
    "Call", "CreateFile", "Fault", "Options", "Rows", "RunCommand", "Say", "Scenario", "Seen", "Simulator",
    "Witness", "create_file", "read_scenario", "read_witness",
]  # fmt: skip
