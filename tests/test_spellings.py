"""How settings are spelled: one reading each, and the unit is never left to guess."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from proxy.spellings import (
    BaseUrl,
    Duration,
    FileName,
    FilePath,
    Host,
    Network,
    Several,
    Size,
    Variable,
    is_local_name,
    read_duration,
    read_size,
    write_duration,
    write_size,
)


class Spelled(BaseModel):
    model_config = ConfigDict(strict=True)

    duration: Duration = 1.0
    size: Size = 1
    variable: Variable = "A"
    host: Host = "a"
    networks: Several[Network] = ()
    url: BaseUrl = "https://a"
    path: FilePath = Path()
    name: FileName = ""


def refused(**values: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Spelled.model_validate(values)
    return str(caught.value.errors()[0]["ctx"]["error"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("1.5s", 1.5), ("5m", 300), ("24h", 86400), ("90d", 7776000), ("30 s", 30)],
)
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["30", "", "s", "30S", "30 sec", "-1s", "1e3s", "٣s", "30s\n", "1_0s", 30, 30.0, None]
)
def test_a_duration_without_one_clear_reading_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        read_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512B", 512), ("64KB", 64_000), ("32KiB", 32_768), ("10MB", 10_000_000), ("1GiB", 1 << 30)],
)
def test_a_size_is_a_number_and_its_unit(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["10", "10mb", "10 M", "MB", "-1KB", 10])
def test_a_size_without_one_clear_reading_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        read_size(text)


@given(st.integers(1, 10_000_000))
def test_what_is_written_reads_back_the_same(number: int) -> None:
    assert read_duration(write_duration(number)) == number
    assert read_duration(write_duration(number / 1000)) == pytest.approx(number / 1000)
    assert read_size(write_size(number)) == number


def test_nothing_is_no_deadline_and_no_size() -> None:
    assert "more than zero" in refused(duration="0s")
    assert "more than zero" in refused(size="0B")


@pytest.mark.parametrize("text", ["op-secret-value", "opper_api_key", "9KEY", "A-B", "", "A" * 200])
def test_a_secret_in_the_place_of_a_variables_name_is_refused_and_never_quoted(text: str) -> None:
    said = refused(variable=text)
    assert "not the secret itself" in said
    assert not text or text not in said


@pytest.mark.parametrize("text", ["a b", "http://a", "a/b", "", "-a", "a:b"])
def test_a_host_is_a_name_and_perhaps_a_port(text: str) -> None:
    assert "must be a host name" in refused(host=text)
    assert Spelled.model_validate({"host": "Proxy.Example.com:8080"}).host == "proxy.example.com:8080"
    assert Spelled.model_validate({"host": "[::1]:80"}).host == "[::1]:80"


def test_networks_are_read_from_a_list() -> None:
    found = Spelled.model_validate({"networks": ["10.0.0.0/8", "::1"]}).networks
    assert [str(each) for each in found] == ["10.0.0.0/8", "::1/128"]
    assert "must be a network" in refused(networks=["10.0.0.1/8"])
    assert "must be a network" in refused(networks=[10])


@pytest.mark.parametrize(
    "text", ["api.opper.ai", "ftp://a", "https://", "https://u:p@a", "https://a?key=1", "https://a#b"]
)
def test_a_base_url_is_a_place_and_nothing_more(text: str) -> None:
    refused(url=text)


def test_a_base_url_loses_its_last_slash() -> None:
    assert Spelled.model_validate({"url": "https://a.example/"}).url == "https://a.example"


def test_a_relative_path_starts_at_the_base_of_the_context(tmp_path: Path) -> None:
    found = Spelled.model_validate({"path": "a/b", "name": "c"}, context={"base": tmp_path})
    assert found.path == tmp_path / "a/b"
    assert found.name == str(tmp_path / "c")
    assert Spelled.model_validate({"path": "/x"}, context={"base": tmp_path}).path == Path("/x")


@pytest.mark.parametrize("value", ["", "a\0b", 5, None])
def test_what_cannot_be_a_path_is_refused(value: object) -> None:
    assert refused(path=value) == "must be a path"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("127.0.0.1", True), ("0.0.0.0", True), ("::1", True), ("10.1.2.3", True),
        ("api.opper.ai", False), ("localhost.example", False), ("127.0.0.1.example", False), ("", False),
    ],
)
def test_an_address_is_chosen_and_a_name_may_turn(host: str, local: bool) -> None:
    assert is_local_name(host) is local
