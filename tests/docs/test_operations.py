"""The page on operations: its commands for containers fit the image, the settings and the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from proxy.config import read_settings
from tests.docs.test_readme import found

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip()
]
DOCKER = [words for words in LINES if words[0] == "docker"]
(SERVING,) = [words for words in DOCKER if words[1] == "run" and "-d" in words]


def given(words: list[str], option: str) -> list[str]:
    """Every value that an option has on a line."""
    return [words[at + 1] for at, word in enumerate(words) if word == option]


def test_every_line_is_one_of_docker_make_or_the_host() -> None:
    assert {words[0] for words in LINES} <= {"docker", "make", "install"}
    for words in LINES:
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("words", [w for w in DOCKER if "ringfence" in w[2:]], ids=" ".join)
def test_what_is_run_in_the_image_is_a_command_of_the_program(words: list[str]) -> None:
    rest = words[len(words) - words[::-1].index("ringfence") :]
    if rest:
        command, left = found(rest)
        command.make_context(command.name, left)


def test_the_container_gets_the_time_to_drain_and_no_right_that_it_does_not_need() -> None:
    assert int(given(SERVING, "--stop-timeout")[0]) >= read_settings(None, {}).drain_deadline + 45
    assert given(SERVING, "--cap-drop") == ["ALL"]
    assert given(SERVING, "--security-opt") == ["no-new-privileges"]
    assert {"--init", "--read-only"} <= set(SERVING)


def test_volumes_are_mounted_where_the_image_looks_and_the_key_stays_off_the_line() -> None:
    image = dict(re.findall(r"(RINGFENCE_[A-Z_]+)=(\S+)", DOCKERFILE))
    mounts = dict(mount.split(":", 1) for mount in given(SERVING, "-v"))
    assert mounts == {
        "ringfence-data": image["RINGFENCE_DATA_DIR"],
        "$PWD/policies": f"{image['RINGFENCE_POLICIES__PATHS']}:ro",
    }
    assert given(SERVING, "-e") == [read_settings(None, {}).gateway.api_key_env]


def test_the_user_that_a_folder_of_the_host_is_given_to_is_that_of_the_image() -> None:
    (user,) = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    (words,) = [words for words in LINES if words[0] == "install"]
    assert (given(words, "-o")[0], given(words, "-g")[0]) == user
