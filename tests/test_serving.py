"""From settings to listening: ports, certificates, and words for what stands in the way."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path

import pytest

from proxy.config import Settings
from proxy.core.errors import Mistake
from proxy.serving import announce, listening_socket, listening_tls
from proxy.settings import ListenSettings
from tests.authority import Authority
from tests.running import running


def listen(**fields: object) -> ListenSettings:
    return ListenSettings.model_validate({"port": 0, **fields})


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_an_address_of_either_kind_is_listened_on(host: str, family: int) -> None:
    with listening_socket(listen(host=host)) as sock:
        assert sock.family == family
        with socket.create_connection(sock.getsockname()[:2]):
            pass


def test_a_port_that_is_taken_is_an_error() -> None:
    with listening_socket(listen()) as sock, pytest.raises(OSError, match="in use"):
        listening_socket(listen(port=sock.getsockname()[1]))


def test_without_a_certificate_there_is_no_tls() -> None:
    assert listening_tls(listen()) is None


def test_with_one_only_tls_1_2_and_later_are_spoken(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).pair("localhost")
    context = listening_tls(listen(tls_cert_file=str(certificate), tls_key_file=str(key)))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_key_that_does_not_belong_to_its_certificate_is_an_error(tmp_path: Path) -> None:
    certificate, _ = Authority(tmp_path / "one").pair("localhost")
    _, key = Authority(tmp_path / "other").pair("localhost")
    with pytest.raises((ssl.SSLError, Mistake)):
        listening_tls(listen(tls_cert_file=str(certificate), tls_key_file=str(key)))


def test_the_ports_in_use_are_written_whole_once_clients_may_come(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    with listening_socket(listen()) as sock:
        announce(Settings(), sock, 9, file)
        assert json.loads(file.read_bytes()) == {"port": sock.getsockname()[1], "admin_port": 9}
    assert list(tmp_path.iterdir()) == [file]


def test_settings_that_weaken_the_promise_are_said_at_every_start() -> None:
    loose = {"gateway": {"unsafe_plain_http": True}}
    with running(config=loose) as stage:
        events = [json.loads(line) for line in stage.said().splitlines()]
    (said,) = [event for event in events if event["event"] == "unsafe_settings"]
    assert said["unsafe"] == ["gateway.unsafe_plain_http"]
