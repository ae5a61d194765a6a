"""Settings by environment variable: converted to the settings' types, and never silently ignored."""

from __future__ import annotations

import pytest

from proxy.config import Settings
from proxy.core.values import Json
from proxy.environment import Variables, overlay, places, read


def values(**environ: str) -> dict[str, object]:
    found = read(Settings, environ)
    assert found.mistakes == ()
    return {".".join(place): value for place, value in found.values.items()}


def test_every_setting_has_a_variable_of_its_own() -> None:
    names = [name for _, name in places(Settings)]
    assert "RINGFENCE_LISTEN__MAX_BODY_BYTES" in names
    assert "RINGFENCE_WORKERS" in names
    assert len(names) == len(set(names)) > 35


def test_text_becomes_what_the_setting_takes() -> None:
    assert values(
        RINGFENCE_LISTEN__PORT="80",
        RINGFENCE_LISTEN__HOST="8080",
        RINGFENCE_LISTEN__HEADER_DEADLINE="5s",
        RINGFENCE_GATEWAY__UNSAFE_PLAIN_HTTP="true",
        RINGFENCE_GATEWAY__CA_FILE="",
        RINGFENCE_LISTEN__HOSTS="a.example, b.example,",
        RINGFENCE_POLICIES__PATHS="[a, b]",
        RINGFENCE_LIMITS='{"project:web": {monthly_spend_usd: 5}}',
    ) == {
        "listen.port": 80,
        "listen.host": "8080",
        "listen.header_deadline": "5s",
        "gateway.unsafe_plain_http": True,
        "gateway.ca_file": None,
        "listen.hosts": ["a.example", "b.example"],
        "policies.paths": ["a", "b"],
        "limits": {"project:web": {"monthly_spend_usd": 5}},
    }


@pytest.mark.parametrize("text", ["yes", "1", "TRUE", ""])
def test_only_true_and_false_are_converted_so_that_anything_else_is_refused_later(text: str) -> None:
    assert values(RINGFENCE_GATEWAY__UNSAFE_PLAIN_HTTP=text) == {"gateway.unsafe_plain_http": text}


def test_a_variable_that_names_no_setting_is_a_mistake_with_the_nearest_name() -> None:
    (mistake,) = read(Settings, {"RINGFENCE_LISTEN__PROT": "80"}).mistakes
    assert "RINGFENCE_LISTEN__PROT" in str(mistake)
    assert "'RINGFENCE_LISTEN__PORT'" in str(mistake)


def test_yaml_that_cannot_be_read_is_a_mistake_that_names_the_variable() -> None:
    (mistake,) = read(Settings, {"RINGFENCE_LIMITS": "{a: {b: 1, b: 2}}"}).mistakes
    assert "RINGFENCE_LIMITS" in str(mistake)
    assert "stands twice" in str(mistake)


@pytest.mark.parametrize(
    "name",
    [
        "RINGFENCE_PORT", "RINGFENCE_SERVICE_HOST", "RINGFENCE_SERVICE_PORT", "RINGFENCE_SERVICE_PORT_HTTP",
        "RINGFENCE_PORT_8080_TCP", "RINGFENCE_PORT_8080_TCP_ADDR", "RINGFENCE_ADMIN_SERVICE_HOST",
        "RINGFENCE_ADMIN_PORT", "RINGFENCE_CONFIG", "PATH", "ringfence_listen__port",
    ],
)  # fmt: skip
def test_what_kubernetes_sets_beside_a_service_and_what_is_not_ours_is_left_alone(name: str) -> None:
    assert values(**{name: "tcp://10.0.0.1:8080"}) == {}


def test_the_environment_wins_over_the_file_and_leaves_the_files_data_alone() -> None:
    written: dict[str, Json] = {"listen": {"port": 1, "host": "x"}, "workers": 2}
    merged = overlay(
        written, read(Settings, {"RINGFENCE_LISTEN__PORT": "80", "RINGFENCE_KEYS__PEPPER_ENV": "P"})
    )
    assert merged == {"listen": {"port": 80, "host": "x"}, "workers": 2, "keys": {"pepper_env": "P"}}
    assert written == {"listen": {"port": 1, "host": "x"}, "workers": 2}


def test_a_group_that_is_no_map_stays_for_its_own_check_to_refuse() -> None:
    variables = Variables({("listen", "port"): 80}, {("listen", "port"): "RINGFENCE_LISTEN__PORT"}, ())
    assert overlay({"listen": 5}, variables) == {"listen": 5}
    assert overlay({"listen": None}, variables) == {"listen": {"port": 80}}
