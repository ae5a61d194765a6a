"""The manifests: valid for each version of Kubernetes that we have a schema of, locked down, and true."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config import Settings, read_settings
from proxy.core.policy import read_policies
from proxy.core.strict_yaml import load
from proxy.facts import read_facts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kubernetes_validate  # type: ignore[import-untyped]  # it has no types

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "deploy/kubernetes/ringfence.yaml"
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all(FILE.read_text()))
VERSIONS = ("1.29", "1.31", kubernetes_validate.latest_version())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


def one(kind: str, name: str = "ringfence") -> dict[str, Any]:
    (found,) = [each for each in OBJECTS if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


POD: dict[str, Any] = one("Deployment")["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
ENVIRON: dict[str, str] = {each["name"]: each["value"] for each in CONTAINER["env"]}


def settings() -> Settings:
    """The settings in force in the pod: the image's variables and then the manifest's."""
    image = dict(re.findall(r"(RINGFENCE_[A-Z_]+)=(\S+)", LAST_STAGE))
    return read_settings(None, {**image, **ENVIRON})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("thing", OBJECTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_the_api_takes_every_object_and_knows_every_field(thing: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(thing, version, strict=True)


def test_a_field_that_does_not_exist_would_be_found() -> None:
    wrong = {**one("Service"), "spec": {**one("Service")["spec"], "port": 80}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_pod_can_write_nowhere_but_to_its_data_and_has_no_rights() -> None:
    inside = CONTAINER["securityContext"]
    assert inside["readOnlyRootFilesystem"] is True
    assert inside["allowPrivilegeEscalation"] is False
    assert inside["capabilities"] == {"drop": ["ALL"]}
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert [each["mountPath"] for each in CONTAINER["volumeMounts"] if not each.get("readOnly")] == ["/data"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & POD.keys()


def test_the_pod_runs_as_the_image_does() -> None:
    (user,) = re.findall(r"^USER (\d+):(\d+)$", LAST_STAGE, re.MULTILINE)
    context = POD["securityContext"]
    assert (str(context["runAsUser"]), str(context["runAsGroup"])) == user
    assert str(context["fsGroup"]) == user[1]
    assert CONTAINER["args"] == ["serve"]
    exposed = set(re.findall(r"^EXPOSE (.+)$", LAST_STAGE, re.MULTILINE)[0].split())
    assert {str(port["containerPort"]) for port in CONTAINER["ports"]} == exposed


def test_the_settings_of_the_pod_are_settings_and_agree_with_its_ports_and_mounts() -> None:
    found = settings()
    ports = {each["name"]: each["containerPort"] for each in CONTAINER["ports"]}
    assert (found.listen.port, found.admin.port) == (ports["http"], ports["admin"])
    assert found.listen.host == found.admin.host == "0.0.0.0"
    mounts = {Path(each["mountPath"]) for each in CONTAINER["volumeMounts"]}
    files = [found.data_dir, *found.policies.paths, Path(found.attestations.file)]
    assert found.gateway.api_key_file is not None
    for file in [*files, Path(found.gateway.api_key_file)]:
        assert any(file.is_relative_to(mount) for mount in mounts), file
    assert not found.unsafe


def test_the_data_lie_in_a_folder_of_our_own_because_the_volume_is_the_kubelets() -> None:
    (mount,) = [each["mountPath"] for each in CONTAINER["volumeMounts"] if each["name"] == "data"]
    assert settings().data_dir.parent == Path(mount)


def test_probes_ask_the_admin_port_what_it_answers() -> None:
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {"admin"}
    assert probes["readiness"]["path"] == "/readyz"
    assert probes["startup"]["path"] == probes["liveness"]["path"] == "/healthz"


def test_open_answers_get_their_time_to_end() -> None:
    assert POD["terminationGracePeriodSeconds"] >= settings().drain_deadline + 45


def test_one_writer_per_volume() -> None:
    deployment = one("Deployment")["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"]["type"] == "Recreate"
    assert one("PersistentVolumeClaim", "ringfence-data")["spec"]["accessModes"] == ["ReadWriteOncePod"]
    claims = [
        each["persistentVolumeClaim"]["claimName"]
        for each in POD["volumes"]
        if "persistentVolumeClaim" in each
    ]
    assert claims == ["ringfence-data"]


def test_secrets_are_mounted_so_that_the_product_takes_them() -> None:
    (secret,) = [each["secret"] for each in POD["volumes"] if "secret" in each]
    assert secret["defaultMode"] & 0o037 == 0
    assert not [each for each in OBJECTS if each["kind"] == "Secret"]


def test_selectors_lead_to_the_pod() -> None:
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    for selected in (
        one("Service")["spec"]["selector"],
        one("Deployment")["spec"]["selector"]["matchLabels"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selected.items() <= labels
    names = {port["name"] for port in CONTAINER["ports"]}
    assert {port["targetPort"] for port in one("Service")["spec"]["ports"]} <= names


def test_clients_cannot_reach_the_admin_port() -> None:
    assert [port["targetPort"] for port in one("Service")["spec"]["ports"]] == ["http"]
    policy = one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    for rule in policy["ingress"]:
        assert rule["from"], "a rule without a source lets in everybody"
        ports = [port["port"] for port in rule["ports"]]
        (source,) = rule["from"]
        monitoring = "monitoring" in source["namespaceSelector"]["matchLabels"].values()
        assert ports == (["admin"] if monitoring else ["http"])


def test_nothing_leaves_but_names_and_tls_to_public_addresses() -> None:
    names, gateway = one("NetworkPolicy")["spec"]["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert [port["port"] for port in gateway["ports"]] == [443]
    (block,) = [each["ipBlock"] for each in gateway["to"]]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(block["except"])


def test_the_policies_and_attestations_in_it_are_sound() -> None:
    countries = read_facts().countries
    texts = one("ConfigMap", "ringfence-policies")["data"]
    policies = read_policies([load(text, name) for name, text in texts.items()], countries)
    assert [str(policy.id) for policy in policies] == ["no-training"]
    assert "attestations.yaml" in one("ConfigMap", "ringfence-attestations")["data"]


def test_the_commands_in_the_comments_exist() -> None:
    from click.testing import CliRunner

    from proxy.cli import main

    for words in re.findall(r"-- ringfence ([a-z ]+?)(?: --.*)?$", FILE.read_text(), re.MULTILINE):
        assert CliRunner().invoke(main, [*words.split(), "--help"]).exit_code == 0, words
