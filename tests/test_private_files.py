"""Secrets by reference, and files that only their owner may read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.core.errors import Mistake
from proxy.private_files import (
    create_private,
    read_private,
    secret_from_environment,
    secret_from_file,
    write_private,
)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def written(path: Path, content: bytes, permissions: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(permissions)
    return path


def test_a_secret_file_is_read_without_the_line_break_that_editors_add(tmp_path: Path) -> None:
    assert secret_from_file(written(tmp_path / "s", b"op-secret\n")) == b"op-secret"


@pytest.mark.parametrize("permissions", [0o604, 0o644, 0o602, 0o620, 0o666, 0o601])
def test_a_file_that_others_may_read_or_change_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, permissions: int
) -> None:
    path = written(tmp_path / "s", b"op-secret", permissions)
    with pytest.raises(Mistake, match="chmod 600") as caught:
        secret_from_file(path)
    assert "op-secret" not in str(caught.value)


def test_what_is_said_of_a_secret_that_is_open_fits_wherever_it_is_mounted_from(tmp_path: Path) -> None:
    with pytest.raises(Mistake) as caught:
        secret_from_file(written(tmp_path / "s", b"op-secret", 0o644))
    for place in ("Kubernetes: defaultMode: 0440", "Docker or Compose: chmod 600 the file on the host"):
        assert place in str(caught.value)


@pytest.mark.parametrize("permissions", [0o400, 0o440, 0o600, 0o640])
def test_a_file_that_only_owner_and_group_may_read_is_taken(tmp_path: Path, permissions: int) -> None:
    assert read_private(written(tmp_path / "s", b"op-secret", permissions)) == b"op-secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "s", b"op-secret")
    os.chown(path, 12345, -1)
    with pytest.raises(Mistake, match="belongs to another user"):
        read_private(path)


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"first\nsecond", b"caf\xc3\xa9", b"nul\0"])
def test_what_is_not_one_word_is_no_secret_and_is_never_quoted(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path / "s", content)
    with pytest.raises(Mistake) as caught:
        secret_from_file(path)
    for word in content.decode(errors="replace").split():
        assert word not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="nothing-here"):
        secret_from_file(tmp_path / "nothing-here")


def test_a_secret_from_the_environment_must_be_set() -> None:
    assert secret_from_environment("OPPER_API_KEY", {"OPPER_API_KEY": " op-1 "}) == b"op-1"
    for environ in ({}, {"OPPER_API_KEY": ""}, {"OPPER_API_KEY": "  "}):
        with pytest.raises(Mistake, match="OPPER_API_KEY"):
            secret_from_environment("OPPER_API_KEY", environ)


def test_writing_replaces_the_file_whole_and_keeps_it_private(tmp_path: Path) -> None:
    path = written(tmp_path / "s", b"old", 0o644)
    before = path.stat().st_ino
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert path.stat().st_ino != before
    assert [each.name for each in tmp_path.iterdir()] == ["s"]


def test_creating_leaves_a_file_that_is_there_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert create_private(path, b"first")
    assert mode(path) == 0o600
    assert not create_private(path, b"second")
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["s"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "inside").touch()
    with pytest.raises(OSError, match="folder"):
        write_private(path, b"content")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
