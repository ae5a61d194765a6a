"""Which variables win over a file that says otherwise; those that agree, or fill a gap, are no news."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.overrides import overrides


def found(folder: Path, text: str, **environ: str) -> list[tuple[str, str]]:
    file = folder / "config.yaml"
    file.write_text(text)
    return list(overrides(file, {name.upper(): value for name, value in environ.items()}))


def test_a_variable_that_differs_from_the_file_is_named_with_its_setting(tmp_path: Path) -> None:
    text = "listen: {host: 127.0.0.1, port: 1}\npolicies: {paths: [mine]}\n"
    environ = {"ringfence_listen__host": "0.0.0.0", "ringfence_policies__paths": "/etc/ringfence/policies"}
    assert found(tmp_path, text, **environ) == [
        ("RINGFENCE_LISTEN__HOST", "listen.host"),
        ("RINGFENCE_POLICIES__PATHS", "policies.paths"),
    ]


@pytest.mark.parametrize(
    ("text", "variable", "value"),
    [
        ("drain_deadline: 1m\n", "ringfence_drain_deadline", "60s"),
        ("policies: {paths: [a, b]}\n", "ringfence_policies__paths", "a, b"),
        ("data_dir: var\n", "ringfence_data_dir", "var"),
        ("sinks: {file: {path: a.jsonl}}\n", "ringfence_sinks__file", "{path: a.jsonl}"),
    ],
)
def test_the_same_in_another_spelling_differs_in_nothing(
    tmp_path: Path, text: str, variable: str, value: str
) -> None:
    assert found(tmp_path, text, **{variable: value}) == []


def test_what_the_file_leaves_open_is_not_overridden(tmp_path: Path) -> None:
    assert (
        found(tmp_path, "listen: {port: 1}\n", ringfence_listen__host="0.0.0.0", ringfence_workers="2") == []
    )
    assert found(tmp_path, "", ringfence_workers="2") == []
    assert list(overrides(None, {"RINGFENCE_WORKERS": "2"})) == []


def test_a_mistake_in_the_file_that_a_variable_covers_up_is_overridden_too(tmp_path: Path) -> None:
    assert found(tmp_path, "workers: none\n", ringfence_workers="2") == [("RINGFENCE_WORKERS", "workers")]


def test_a_default_that_is_written_out_counts_as_written(tmp_path: Path) -> None:
    assert found(tmp_path, "workers: 1\n", ringfence_workers="2") == [("RINGFENCE_WORKERS", "workers")]
