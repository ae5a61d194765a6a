"""What the doctor says of the machine: this disk, these ports, this limit."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from proxy.config import Settings
from proxy.doctor.finding import Finding, State, examined
from proxy.doctor.machine import file_system, machine_checks
from tests.doctor.setup import sound

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
server:/export /mnt/share nfs4 rw 0 0
/dev/sdb1 /mnt/share/disk xfs rw 0 0
server:/other /mnt/with\\040space nfs rw 0 0
"""


def only(settings: Settings, check: str) -> Finding:
    (one,) = [each for look in machine_checks(settings) if look.name == check for each in examined(look)]
    return one


def test_this_machine_is_sound_and_nothing_is_left_behind(tmp_path: Path) -> None:
    settings = sound(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    every = [each for look in machine_checks(settings) for each in examined(look)]
    assert [each.check for each in every] == [
        "runtime", "data folder", "disk", "durable record", "descriptors", "ports",
    ]  # fmt: skip
    assert all(each.state is not State.FAIL for each in every), every
    assert sorted(tmp_path.rglob("*")) == before


def test_the_price_of_a_durable_record_is_measured_on_the_disk_of_the_data(tmp_path: Path) -> None:
    price = only(sound(tmp_path), "durable record")
    middle, worst = (
        float(word) for word in price.says.split() if word.replace(".", "").isdigit() and "." in word
    )
    assert 0 < middle <= worst + 0.05


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = sound(tmp_path).model_copy(update={"data_dir": tmp_path / "file" / "data"})
    assert only(settings, "data folder").state is State.FAIL
    assert only(settings, "durable record").state is State.FAIL


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_volume_that_somebody_opened_for_us_is_not_to_be_closed_again(tmp_path: Path) -> None:
    settings = sound(tmp_path)
    settings.data_dir.chmod(0o2775)
    ours = only(settings, "data folder")
    assert (ours.state, ours.do) == (State.WARN, f"Run: chmod 700 {settings.data_dir}")
    os.chown(settings.data_dir, 54321, -1)
    theirs = only(settings, "data folder")
    assert theirs.state is State.WARN
    assert "chmod" not in theirs.do
    assert f"{settings.data_dir}/ringfence" in theirs.do


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above(tmp_path: Path) -> None:
    settings = sound(tmp_path).model_copy(update={"data_dir": tmp_path / "new" / "data"})
    assert only(settings, "durable record").state is not State.FAIL
    assert not (tmp_path / "new").exists()


def test_a_disk_with_less_room_than_the_reserve_fails(tmp_path: Path) -> None:
    disk = only(sound(tmp_path, audit={"reserve_bytes": "100000000MB"}), "disk")
    assert disk.state is State.FAIL
    assert "reserve" in disk.says


def test_fewer_descriptors_than_connections_is_a_warning_that_says_how_many(tmp_path: Path) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = only(sound(tmp_path, listen={"max_connections": soft}), "descriptors")
    assert few.state is State.WARN
    assert f"ulimit -n {soft + 1024 + 128}" in few.do
    assert (
        only(
            sound(tmp_path, listen={"max_connections": 1}, gateway={"max_connections": 1}), "descriptors"
        ).state
        is State.OK
    )


def test_a_port_that_is_taken_fails_and_names_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = only(sound(tmp_path, listen={"port": taken.getsockname()[1]}), "ports")
    assert ports.state is State.FAIL
    assert "listen.port" in ports.do


def test_an_address_of_another_machine_fails_with_its_own_advice(tmp_path: Path) -> None:
    ports = only(sound(tmp_path, listen={"host": "192.0.2.1"}), "ports")
    assert ports.state is State.FAIL
    assert "listen.host" in ports.do


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def running() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Healthy)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_ports_that_a_running_proxy_holds_are_as_they_should_be(tmp_path: Path, running: int) -> None:
    ports = only(sound(tmp_path, admin={"port": running}), "ports")
    assert ports.state is State.OK
    assert "is running" in ports.says


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv", "ext4"),
        ("/run/data", "tmpfs"),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/disk/data", "ext4"),
        ("/mnt/shared", "ext4"),
    ],
)
def test_the_kind_of_a_file_system_is_that_of_the_nearest_mount(
    tmp_path: Path, folder: str, kind: str
) -> None:
    mounts = tmp_path / "mounts"
    root = tmp_path / "root"
    (root / folder[1:].split("/disk")[0]).mkdir(parents=True)
    lines = [line.split(" ") for line in MOUNTS.splitlines()]
    moved = [[a, f"{root}{'' if b == '/' else b}", *rest] for a, b, *rest in lines if b != "/mnt/share/disk"]
    mounts.write_text("\n".join(" ".join(line) for line in moved))
    wanted = "nfs4" if "/disk" in folder else kind
    assert file_system(root / folder[1:].split("/disk")[0], mounts) == wanted


def test_where_mounts_cannot_be_read_nothing_is_claimed(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "none") == ""
