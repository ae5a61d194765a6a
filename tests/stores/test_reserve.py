"""Space that is held back is really held, and given back on demand."""

from __future__ import annotations

from proxy.stores.reserve import Reserve


def test_the_space_is_allocated_not_only_promised(tmp_path):
    reserve = Reserve(tmp_path / "reserve", 1 << 20)
    assert reserve.allocate()
    assert reserve.path.stat().st_blocks * 512 >= 1 << 20
    assert reserve.allocate()
    reserve.free()
    assert not reserve.path.exists()
    reserve.free()


def test_no_reserve_is_kept_where_none_is_wanted(tmp_path):
    reserve = Reserve(tmp_path / "reserve", 0)
    assert reserve.allocate()
    assert not reserve.path.exists()


def test_a_disk_without_that_much_space_says_so_and_keeps_nothing(tmp_path):
    reserve = Reserve(tmp_path / "reserve", 1 << 60)
    assert not reserve.allocate()
    assert not reserve.path.exists()


def test_a_folder_that_is_gone_is_no_space(tmp_path):
    assert not Reserve(tmp_path / "nowhere/reserve", 1 << 20).allocate()
