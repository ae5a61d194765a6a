"""The example and the print-out of the settings say what holds, and read back as it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Settings, read_settings
from proxy.config_text import example, flow, shown
from proxy.core import strict_yaml

ROOT = Path(__file__).parent.parent


def test_the_example_in_the_repository_is_the_one_that_the_types_make() -> None:
    """Run `make generate` when this fails: a setting was added or changed."""
    assert (ROOT / "config.example.yaml").read_text() == example(Settings, read_settings(None, {}))


def test_the_example_means_exactly_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(example(Settings, read_settings(None, {})))
    assert shown(read_settings(path, {})).replace(f"{tmp_path}/", "") == shown(read_settings(None, {}))


def test_what_is_shown_reads_back_as_the_same_settings(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        'limits: {"project:web": {requests_per_minute: 5}}\n'
        "gateway: {projects: {web: {api_key_file: /run/secrets/web}}}\n"
        "listen: {hosts: [a.b, 'localhost:8080'], trusted_proxies: [10.0.0.0/8], body_deadline: 1500ms}\n"
    )
    settings = read_settings(path, {})
    path.write_text(shown(settings))
    assert read_settings(path, {}) == settings


plain = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.text(st.characters(codec="ascii"), max_size=12)
)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(values)
def test_any_value_reads_back_from_flow_style(value: object) -> None:
    assert strict_yaml.load(f"value: {flow(value)}\n", "x").data == {"value": value}
