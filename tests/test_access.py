"""What the system refuses is said once, with whose it must be and what to run: by every command alike."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import pytest

from proxy.access import mistake_of, refusal, require_own
from proxy.core.errors import Mistake
from tests.doctor.setup import ENVIRON, sound

DENIED = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
# Root without the rights that let it into the folders of others.
BOUND = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--inh-caps", "-all")
NOBODY = 54321


@cache
def permitted(*words: str) -> bool:
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def unless_permitted(*words: str) -> None:
    """Skip, and say so."""
    if not permitted(*words):
        warnings.warn(f"NOT TESTED: {' '.join(words)} is not permitted here", stacklevel=2)
        pytest.skip(f"{' '.join(words)} is not permitted here")


def ringfence(folder: Path, *words: str, before: tuple[str, ...] = ()) -> tuple[int, str]:
    ours = ("RINGFENCE_", "OPPER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [*before, sys.executable, "-m", "proxy", *words],
        cwd=folder, env={**kept, **ENVIRON}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_folder_of_its_own_is_made_for_its_owner_only(tmp_path: Path) -> None:
    require_own(tmp_path / "above" / "data")
    assert (tmp_path / "above" / "data").stat().st_mode & 0o777 == 0o700
    require_own(tmp_path / "above" / "data")
    assert not list((tmp_path / "above" / "data").iterdir())


def test_a_file_in_the_place_of_the_folder_is_a_mistake_too(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(Mistake, match="data cannot be written"):
        require_own(tmp_path / "data")


@AS_ROOT
def test_what_belongs_to_another_user_is_to_be_given_to_this_one(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o750)
    os.chown(folder, NOBODY, -1)
    says, do = refusal(folder, DENIED) or ("", "")
    assert f"{folder} belongs to user {NOBODY} (mode 0750)" in says
    assert "it must belong to user 0" in says
    assert f"chown -R 0:0 {folder} " in do
    assert "container" in do


@AS_ROOT
def test_what_lies_above_it_is_not_to_be_given_away(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, -1)
    says, do = refusal(tmp_path / "data", DENIED) or ("", "")
    assert f"{tmp_path / 'data'} is out of reach" in says
    assert f"{tmp_path} belongs to user {NOBODY}" in says
    assert "chown" not in do


@AS_ROOT
def test_a_folder_that_is_missing_where_this_user_may_make_none_is_to_be_made(tmp_path: Path) -> None:
    unless_permitted(*BOUND, "true")
    sound(tmp_path, data_dir="above/data")
    (tmp_path / "above").mkdir()
    os.chown(tmp_path / "above", NOBODY, -1)
    code, said = ringfence(tmp_path, "serve", before=BOUND)
    assert code == 3
    assert "data is missing" in said
    assert f"install -d -m 700 -o 0 -g 0 {Path('above/data')} " in said


def test_what_belongs_to_this_user_needs_another_mode_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert (refusal(tmp_path, DENIED) or ("", ""))[1] == f"Run: chmod u+rwx {tmp_path}"
    tmp_path.chmod(0o700)
    assert refusal(tmp_path, DENIED) is None


def test_what_is_no_refusal_of_a_file_stays_what_it_is(tmp_path: Path) -> None:
    assert refusal(tmp_path, OSError(errno.ENOSPC, "full")) is None
    assert mistake_of(PermissionError(errno.EACCES, "port 80")) is None
    assert mistake_of(OSError(errno.ENOSPC, "full", str(tmp_path))) is None


COMMANDS = [
    ("keys", "create", "--project", "web"),
    ("keys", "list"),
    ("serve",),
    ("serve", "--workers", "2"),
    ("audit", "list"),
    ("audit", "tail"),
    ("audit", "verify"),
    ("audit", "prune", "--keep", "400d", "--yes"),
]


@AS_ROOT
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_data_folder_of_another_user_is_one_sentence_and_3(tmp_path: Path, words: tuple[str, ...]) -> None:
    unless_permitted(*BOUND, "true")
    sound(tmp_path)
    os.chown(tmp_path / "data", NOBODY, -1)
    code, said = ringfence(tmp_path, *words, before=BOUND)
    assert code == 3, said
    assert said.count("\n") == 1
    assert f"data belongs to user {NOBODY}" in said
    assert "it must belong to user 0" in said
    assert "chown -R 0:0 " in said


@AS_ROOT
def test_the_doctor_says_the_same(tmp_path: Path) -> None:
    unless_permitted(*BOUND, "true")
    sound(tmp_path)
    os.chown(tmp_path / "data", NOBODY, -1)
    code, said = ringfence(tmp_path, "doctor", "--offline", before=BOUND)
    assert code == 1
    (line,) = [line for line in said.splitlines() if line.startswith("FAIL  data folder")]
    assert f"belongs to user {NOBODY}" in line
    assert "chown -R 0:0 " in line
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "words", [COMMANDS[0], COMMANDS[2], COMMANDS[3], ("doctor", "--offline")], ids=" ".join
)
def test_a_data_folder_that_is_mounted_read_only_is_one_too(tmp_path: Path, words: tuple[str, ...]) -> None:
    unless_permitted("unshare", "--mount", "mount", "--bind", "/tmp", "/tmp")
    sound(tmp_path)
    locked = 'mount --bind data data && mount -o remount,ro,bind data data && exec "$@"'
    code, said = ringfence(tmp_path, *words, before=("unshare", "--mount", "sh", "-c", locked, "sh"))
    doctor = words[0] == "doctor"
    assert code == (1 if doctor else 3), said
    lines = [line for line in said.splitlines() if not doctor or line.startswith("FAIL  data folder")]
    assert len(lines) == 1
    assert "data cannot be written: it is mounted read-only. Mount it so that it can be written" in lines[0]
