"""The inputs that fuzzing starts from: real requests, the bypass cases, and what was learnt before."""

from __future__ import annotations

from pathlib import Path

from tests.bypass.cases import load
from tests.fuzz.seeds import ANSWERS, SEEDS
from tests.fuzz.targets import member_tables

CORPUS = Path(__file__).with_name("corpus")
_REPOSITORY = Path(__file__).parents[2]


def inputs(name: str) -> list[bytes]:
    """Every input known for a target, in a fixed order."""
    folder = CORPUS / name
    kept = [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return [*first(name), *kept]


def first(name: str) -> list[bytes]:
    """What clients really send, and the bypass cases."""
    match name:
        case "body":
            return [seed.body for seed in SEEDS] + _case_bodies()
        case "members":
            names = sorted(member_tables().tables)
            return [bytes((names.index(seed.table),)) + seed.body for seed in SEEDS]
        case "forward":
            return [bytes((number,)) + seed.body for number, seed in enumerate(SEEDS)]
        case "path":
            return [b"POST " + seed.target.encode() for seed in SEEDS] + _case_targets()
        case "request":
            return [seed.head(len(seed.body)) + b"\r\n\r\n" + seed.body for seed in SEEDS]
        case "answer":
            return list(ANSWERS)
        case "yaml":
            return [path.read_bytes() for path in sorted((_REPOSITORY / "policies").glob("*.yaml"))] + [
                b"a: 1\n"
            ]
    raise ValueError(f"no target is called {name}")


def _case_bodies() -> list[bytes]:
    bodies = (
        case.data.partition(b"\r\n\r\n")[2] for case in load()[1] if case.family in ("CTL", "JSN", "RTE")
    )
    return [body for body in bodies if 0 < len(body) <= 4096]


def _case_targets() -> list[bytes]:
    lines = (
        case.data.lstrip(b"\r\n").partition(b"\r\n")[0] for case in load()[1] if case.family in ("CTL", "PTH")
    )
    return [line.rpartition(b" ")[0] for line in lines]
