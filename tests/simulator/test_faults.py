from typing import Any

import pytest

from proxy.simulator import Fault
from proxy.simulator.faults import KINDS, PRESETS, Faults, read_fault, read_marker


def take(faults: Any, path: Any = "/a", model: Any = "m", body: Any = b"") -> Any:
    found = faults.take(path, model, body, early=False)
    return found.kind if found is not None else None


def test_a_fault_happens_as_often_as_it_says():
    faults = Faults()
    faults.add(Fault("unserved", times=2))
    assert [take(faults) for _ in range(3)] == ["unserved", "unserved", None]


def test_a_fault_for_ever_stays():
    faults = Faults()
    faults.add(Fault("unserved", times=-1))
    assert [take(faults) for _ in range(5)] == ["unserved"] * 5
    faults.clear()
    assert take(faults) is None


def test_a_fault_chooses_its_requests():
    faults = Faults()
    faults.add(Fault("reset", path="/images"))
    faults.add(Fault("stall", asks="atlas"))
    faults.add(Fault("gzip", text="canary"))
    assert take(faults) is None
    assert take(faults, body=b"a canary") == "gzip"
    assert take(faults, model="example-us/atlas-1") == "stall"
    assert take(faults, path="/v3/images") == "reset"


def test_what_comes_before_the_body_is_asked_for_apart():
    faults = Faults()
    faults.add(Fault("early"))
    assert take(faults) is None
    early = faults.take("/a", "", b"", early=True)
    assert early is not None


def test_a_marker_orders_a_fault():
    assert read_marker("reset after=100") == Fault("reset", after=100)
    assert read_marker("served model=a/b provider=c") == Fault("served", model="a/b", provider="c")


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "explode"},
        {"kind": "raw", "preset": "none"},
        {"kind": "reset", "afer": 1},
        {"kind": "reset", "after": "x"},
    ],
)
def test_what_is_not_understood_is_said(data):
    with pytest.raises(ValueError):
        read_fault(data)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_planned(kind):
    faults = Faults()
    faults.add(read_fault({"kind": kind}))
    assert [each.kind for each in faults.planned] == [kind]


def test_presets_are_different_bytes():
    assert len(set(PRESETS.values())) == len(PRESETS)
