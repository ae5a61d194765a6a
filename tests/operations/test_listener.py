"""The client port: TLS by real handshakes, and whose address a request came from."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.operations.kit import Client, finish
from tests.running import PATIENCE, Stage, running


@pytest.fixture(scope="module", params=[1, 2], ids=["alone", "workers"])
def sealed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Stage, Path]]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    certificate, key = authority.pair("localhost")
    listen = {"tls_cert_file": str(certificate), "tls_key_file": str(key)}
    with running(config={"listen": listen, "workers": request.param}) as stage:
        yield stage, authority.file


def trusting(ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def test_clients_that_verify_are_served(sealed: tuple[Stage, Path]) -> None:
    stage, ca = sealed
    client = Client(stage)
    client.connection = http.client.HTTPSConnection(
        "localhost", stage.port, timeout=PATIENCE, context=trusting(ca)
    )
    assert client.status() == 200
    assert client.status() == 200
    connection = client.connection.sock
    assert isinstance(connection, ssl.SSLSocket)
    assert connection.version() in ("TLSv1.2", "TLSv1.3")
    assert connection.selected_alpn_protocol() == "http/1.1"


def test_a_stream_comes_event_by_event_through_tls(sealed: tuple[Stage, Path]) -> None:
    stage, ca = sealed
    client = Client(stage)
    client.connection = http.client.HTTPSConnection(
        "localhost", stage.port, timeout=PATIENCE, context=trusting(ca)
    )
    assert b"[DONE]" in finish(stage, client.stream("tls"), "tls")


def test_a_client_that_is_silent_before_tls_is_there_has_the_deadline_of_a_head(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "authority").pair("localhost")
    listen = {"tls_cert_file": str(certificate), "tls_key_file": str(key), "header_deadline": "500ms"}
    with (
        running(config={"listen": listen}) as stage,
        socket.create_connection(("localhost", stage.port), timeout=10) as silent,
    ):
        assert silent.recv(1) == b""


def test_one_that_trusts_another_authority_sends_nothing(sealed: tuple[Stage, Path], tmp_path: Path) -> None:
    stage, _ = sealed
    context = trusting(Authority(tmp_path / "other").file)
    with (
        socket.create_connection(("127.0.0.1", stage.port)) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(raw, server_hostname="localhost")


def test_versions_before_tls_1_2_are_refused(sealed: tuple[Stage, Path]) -> None:
    stage, ca = sealed
    context = trusting(ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", stage.port)) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="localhost")


def test_plain_http_gets_no_answer_and_hurts_nobody(sealed: tuple[Stage, Path]) -> None:
    stage, ca = sealed
    with socket.create_connection(("127.0.0.1", stage.port), timeout=PATIENCE) as raw:
        raw.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-CANARY\r\n\r\n")
        received = b""
        try:
            while chunk := raw.recv(4096):
                received += chunk
        except ConnectionError:
            pass
    assert b"HTTP/" not in received
    assert "CANARY" not in stage.said()
    test_clients_that_verify_are_served((stage, ca))


def peers(stage: Stage, *said: str) -> list[str]:
    """The pseudonyms that requests with these X-Forwarded-For values get."""
    found = []
    for value in said:
        answer = Client(stage).ask(X_Forwarded_For=value)
        rid = answer.headers["x-ringfence-decision-id"]
        answer.read()
        found.append(stage.record(rid, "intent")["peer"])
    return found


def test_what_a_trusted_proxy_says_of_an_address_is_believed_and_nothing_before_it() -> None:
    with running(config={"listen": {"trusted_proxies": ["127.0.0.0/8"]}}) as stage:
        one, other, forged, behind = peers(
            stage, "203.0.113.9", "203.0.113.10", "198.51.100.1, 203.0.113.9", "203.0.113.9, 127.0.0.7"
        )
        assert one == forged == behind != other


def test_without_trusted_proxies_the_field_says_nothing(stage: Stage) -> None:
    one, other = peers(stage, "203.0.113.9", "203.0.113.10")
    assert one == other
