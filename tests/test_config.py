"""config.yaml and the environment: every mistake at once, with its place; secrets by reference only."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import GatewayKeys, Settings, find_config, read_gateway_keys, read_settings
from proxy.core.errors import Mistake, Mistakes
from proxy.settings import GatewaySettings
from proxy.sinks import SINKS

SECRET = "op-live-4f1c9"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def mistakes(path: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        read_settings(path, environ or {})
    found = list(caught.value.exceptions)
    assert all(isinstance(each, Mistake) for each in found)
    return [str(each) for each in found]


def test_without_a_file_every_default_holds() -> None:
    found = read_settings(None, {})
    assert (found.listen.port, found.admin.host, found.catalog.max_age) == (8080, "127.0.0.1", 86400)
    assert found.unsafe == ()
    assert found.keys_file == Path("var/keys.json")


def test_an_empty_file_is_as_good_as_none(config: Path) -> None:
    config.write_text("# nothing yet\nlisten:\n")
    assert read_settings(config, {}).listen == read_settings(None, {}).listen


def test_every_mistake_is_reported_at_its_own_line_and_column(config: Path) -> None:
    config.write_text(
        "listen:\n  port: '8080'\n  prot: 1\n  hosts: [a b]\ncatalogue: {}\nlogs: {level: loud}\nworkers: 0\n"
    )
    assert [each.removeprefix(str(config)) for each in mistakes(config)] == [
        ":2:9: listen.port: must be a whole number",
        ":3:3: listen.prot: no setting has this name; did you mean 'port'?",
        ":4:11: listen.hosts.0: must be a host name as clients send it, such as proxy.example.com or"
        " localhost:8080",
        ":5:1: catalogue: no setting has this name; did you mean 'catalog'?",
        ":6:15: logs.level: input should be 'debug', 'info', 'warning' or 'error'",
        ":7:10: workers: input should be greater than or equal to 1",
    ]


def test_a_mistake_in_the_environment_names_its_variable_and_comes_with_those_of_the_file(
    config: Path,
) -> None:
    config.write_text("listen: {prot: 1}\n")
    found = mistakes(config, {"RINGFENCE_LISTEN__PORT": "many", "RINGFENCE_LISTEN__PROT": "1"})
    assert any("RINGFENCE_LISTEN__PORT: listen.port: must be a whole number" in each for each in found)
    assert any("RINGFENCE_LISTEN__PROT: no setting has this name" in each for each in found)
    assert any(":1:10: listen.prot" in each for each in found)
    assert len(found) == 3


def test_the_environment_wins_over_the_file(config: Path) -> None:
    config.write_text("listen: {port: 1, host: 0.0.0.0}\n")
    found = read_settings(config, {"RINGFENCE_LISTEN__PORT": "9"})
    assert (found.listen.port, found.listen.host) == (9, "0.0.0.0")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (f"gateway: {{api_key: {SECRET}}}", "api_key_env or api_key_file"),
        (f"gateway: {{projects: {{web: {{api_key: {SECRET}}}}}}}", "api_key_env or api_key_file"),
        (f"keys: {{pepper: {SECRET}}}", "pepper_file or pepper_env"),
        (f"gateway: {{token: {SECRET}}}", "api_key_env or api_key_file"),
        (f"opper_api_key: {SECRET}", "environment variable"),
        (f"gateway: {{api_key_env: {SECRET}}}", "not the secret itself"),
        (f"gateway: {{base_url: 'https://x:{SECRET}@api.opper.ai'}}", "no user, password"),
    ],
)
def test_a_secret_in_the_file_is_refused_with_advice_and_never_quoted(
    config: Path, text: str, advice: str
) -> None:
    config.write_text(text)
    found = mistakes(config)
    assert any(advice in each for each in found)
    assert SECRET not in "".join(found)


def test_relative_paths_start_at_the_files_folder_whether_written_or_not(config: Path) -> None:
    config.write_text("policies: {paths: [p]}\nkeys: {file: k.json}\ngateway: {ca_file: ca.pem}\n")
    found = read_settings(config, {"RINGFENCE_ATTESTATIONS__FILE": "a.yaml"})
    folder = config.parent
    assert found.policies.paths == (folder / "p",)
    assert found.keys_file == folder / "k.json"
    assert found.attestations.file == folder / "a.yaml"
    assert found.data_dir == folder / "var"
    assert found.pepper_file == folder / "var/pepper"
    assert found.gateway.ca_file == str(folder / "ca.pem")


def test_a_group_left_out_has_its_paths_at_the_files_folder_too(config: Path) -> None:
    config.write_text("workers: 2\n")
    assert read_settings(config, {}).policies.paths == (config.parent / "policies",)


@pytest.mark.parametrize(
    "text", ["[]", "5", "listen: 5", "listen: [1]", "limits: []", "gateway: {projects: 1}"]
)
def test_a_file_of_another_shape_is_refused(config: Path, text: str) -> None:
    config.write_text(text)
    assert "must" in mistakes(config)[0]


def test_a_group_of_another_shape_is_refused_even_when_the_environment_sets_part_of_it(config: Path) -> None:
    config.write_text("listen: 5\n")
    assert "must be a map of settings" in mistakes(config, {"RINGFENCE_LISTEN__PORT": "80"})[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "none.yaml cannot be read" in mistakes(tmp_path / "none.yaml")[0]


def test_limits_name_whom_they_hold_for(config: Path) -> None:
    config.write_text('limits: {"project:web": {requests_per_minute: 60}, web: {}, "key:a b": {}}\n')
    found = mistakes(config)
    assert len(found) == 2
    assert all("key:ID, project:NAME or organisation:NAME" in each for each in found)


def test_settings_that_weaken_the_promise_are_named(config: Path) -> None:
    config.write_text("gateway: {unsafe_plain_http: true}\n")
    assert read_settings(config, {}).unsafe == ("gateway.unsafe_plain_http",)


def test_the_client_and_the_admin_port_differ(config: Path) -> None:
    config.write_text("listen: {port: 9090}\n")
    assert "must differ" in mistakes(config)[0]
    config.write_text("listen: {port: 0}\nadmin: {port: 0}\n")
    assert read_settings(config, {}).admin.port == 0


def test_the_file_is_the_one_given_or_the_one_in_the_environment_or_the_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(None, {}) is None
    Path("config.yaml").touch()
    assert find_config(None, {}) == Path("config.yaml")
    assert find_config(None, {"RINGFENCE_CONFIG": "/etc/r.yaml"}) == Path("/etc/r.yaml")
    assert find_config(Path("mine.yaml"), {"RINGFENCE_CONFIG": "/etc/r.yaml"}) == Path("mine.yaml")


def gateway(**values: object) -> GatewaySettings:
    return GatewaySettings.model_validate(values)


def test_each_project_goes_out_with_its_own_key_and_the_others_with_the_default(tmp_path: Path) -> None:
    held = tmp_path / "web"
    held.write_text("op-web\n")
    held.chmod(0o600)
    settings = gateway(projects={"web": {"api_key_file": str(held)}, "shop": {"api_key_env": "SHOP"}})
    keys = read_gateway_keys(settings, {"OPPER_API_KEY": "op-default", "SHOP": "op-shop"})
    assert [keys.of(project) for project in ("web", "shop", "else")] == ["op-web", "op-shop", "op-default"]
    assert "op-" not in repr(keys)


def test_without_a_default_key_only_named_projects_have_one() -> None:
    keys = read_gateway_keys(gateway(projects={"shop": {"api_key_env": "SHOP"}}), {"SHOP": "op-shop"})
    assert (keys.of("shop"), keys.of("else")) == ("op-shop", None)


def test_no_key_at_all_is_a_mistake_that_names_the_variable() -> None:
    with pytest.raises(Mistakes) as caught:
        read_gateway_keys(gateway(), {})
    assert "OPPER_API_KEY" in str(caught.value)
    with pytest.raises(Mistakes) as caught:
        read_gateway_keys(gateway(api_key_env=None), {})
    assert "api_key_env" in str(caught.value)


def test_a_projects_key_that_cannot_be_had_is_never_replaced_by_the_default(tmp_path: Path) -> None:
    held = tmp_path / "web"
    held.write_text("op-web")
    held.chmod(0o644)
    settings = gateway(projects={"web": {"api_key_file": str(held)}, "shop": {"api_key_env": "SHOP"}})
    with pytest.raises(Mistakes) as caught:
        read_gateway_keys(settings, {"OPPER_API_KEY": "op-default"})
    assert [str(each).split(":")[0] for each in caught.value.exceptions] == [
        "gateway.projects.web",
        "gateway.projects.shop",
    ]


def test_keys_are_not_printed_by_accident() -> None:
    assert SECRET not in repr(GatewayKeys(SECRET, {"web": SECRET}))


def test_a_sink_is_wanted_when_it_has_settings_be_they_empty(config: Path) -> None:
    assert read_settings(None, {}).sinks.wanted() == {}
    config.write_text("sinks: {stdout: {}, file: {path: mirror.jsonl}}\n")
    wanted = read_settings(config, {}).sinks.wanted()
    assert list(wanted) == ["stdout", "file"]
    assert wanted["file"].model_dump(mode="json") == {"path": str(config.parent / "mirror.jsonl")}
    (named,) = read_settings(None, {"RINGFENCE_SINKS__FILE": "{}"}).sinks.wanted()
    assert named == "file"


def test_a_misspelt_sink_or_setting_of_one_is_a_mistake(config: Path) -> None:
    config.write_text("sinks: {flie: {}, file: {pth: x}}\n")
    assert [each.removeprefix(str(config)) for each in mistakes(config)] == [
        ":1:9: sinks.flie: no setting has this name; did you mean 'file'?",
        ":1:26: sinks.file.pth: no setting has this name; did you mean 'path'?",
    ]


def test_every_sink_has_settings_of_its_own() -> None:
    assert [kind.name for kind in SINKS] == list(type(read_settings(None, {}).sinks).model_fields)


def test_every_setting_is_reached_through_the_type() -> None:
    assert set(Settings.model_fields) >= {"listen", "admin", "gateway", "catalog", "keys", "logs", "limits"}
