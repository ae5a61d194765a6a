"""The container file: no root, nothing extra in the image, and it knows whether it is well."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
HADOLINT = shutil.which("hadolint", path=Path(sys.executable).parent.as_posix())


def test_it_runs_as_a_user_without_rights() -> None:
    (user,) = re.findall(r"^USER (\d+):(\d+)$", LAST_STAGE, re.MULTILINE)
    assert all(int(number) >= 10_000 for number in user)
    assert LAST_STAGE.index("USER ") < LAST_STAGE.index("ENTRYPOINT")


def test_the_image_has_no_installer_and_installs_by_hash_only() -> None:
    assert DOCKERFILE.count("\nFROM ") == 2
    assert "pip" not in LAST_STAGE
    assert "--require-hashes" in DOCKERFILE
    assert not re.search(r"^(ADD|RUN .*(curl|wget|apt))", DOCKERFILE, re.MULTILINE)


def test_it_needs_to_write_nowhere_but_to_its_data() -> None:
    assert re.findall(r"^VOLUME (.+)$", LAST_STAGE, re.MULTILINE) == ["/data"]
    assert "RINGFENCE_DATA_DIR=/data" in LAST_STAGE
    assert "PYTHONDONTWRITEBYTECODE=1" in LAST_STAGE


def test_the_standard_library_comes_compiled_since_the_base_image_has_it_as_text_only() -> None:
    # Without this each start, and each health check, compiles what it imports: most of a second.
    assert re.search(r"^RUN python -m compileall .*", LAST_STAGE, re.MULTILINE)


def test_it_tells_whether_it_is_well_and_ends_when_asked() -> None:
    assert "/healthz" in LAST_STAGE
    assert "STOPSIGNAL SIGTERM" in LAST_STAGE
    assert re.search(r'^ENTRYPOINT \["ringfence"\]$', LAST_STAGE, re.MULTILINE)


def test_every_setting_in_it_is_a_setting() -> None:
    from proxy.config import read_settings

    environ = dict(re.findall(r"(RINGFENCE_[A-Z_]+)=(\S+)", LAST_STAGE))
    assert read_settings(None, environ).listen.host == "0.0.0.0"


def test_only_what_the_image_needs_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    sent = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    }
    assert copied == sent


def test_no_hidden_file_and_no_key_that_lies_in_the_tree_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    last_exception = max(number for number, line in enumerate(ignored) if line.startswith("!"))
    assert {"**/.*", "**/*.pem", "**/*.key"} <= set(ignored[last_exception:])


def test_no_policy_is_in_force_before_the_operator_brings_one_and_the_examples_lie_beside() -> None:
    from proxy.cli.demo import SHARED

    environ = dict(re.findall(r"(RINGFENCE_[A-Z_]+)=(\S+)", LAST_STAGE))
    copied = re.findall(r"^COPY policies (\S+)$", LAST_STAGE, re.MULTILINE)
    assert copied == [f"/app/{SHARED}"]
    assert not Path(copied[0]).is_relative_to(environ["RINGFENCE_POLICIES__PATHS"])


def test_the_image_is_tagged_as_the_manifest_asks_for_it() -> None:
    made = subprocess.run(["make", "-n", "image"], cwd=ROOT, capture_output=True, text=True, check=True)
    tags = re.findall(r"--tag (\S+)", made.stdout)
    manifest = (ROOT / "deploy/kubernetes/ringfence.yaml").read_text()
    (wanted,) = re.findall(r"image: (\S+)", manifest)
    assert tags == ["ringfence", wanted]
    assert wanted == f"ringfence:{metadata.version('ringfence')}"


def test_an_image_with_traces_pins_the_same_versions_of_everything_else() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / name).read_text(), re.MULTILINE))

    plain, traces = pins("requirements.txt"), pins("requirements-otel.txt")
    assert plain < traces
    assert any(pin.startswith("opentelemetry-sdk==") for pin in traces - plain)
    assert re.search(r"^ARG REQUIREMENTS=requirements.txt$", DOCKERFILE, re.MULTILINE)


@pytest.mark.skipif(
    HADOLINT is None, reason="hadolint has no wheel for this platform"
)
def test_hadolint_has_nothing_to_say() -> None:
    assert HADOLINT is not None
    said = subprocess.run([HADOLINT, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")
