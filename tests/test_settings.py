"""The groups of settings: each has a sentence, and what contradicts itself is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from proxy.config import Settings
from proxy.settings import CatalogSettings, GatewaySettings, Limit, ListenSettings, ProjectKey, Section


def groups(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for about in model.model_fields.values():
        if isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel):
            yield from groups(about.annotation)


@pytest.mark.parametrize("group", [*groups(Settings), Limit, ProjectKey])
def test_every_group_and_setting_says_what_it_is_for(group: type[BaseModel]) -> None:
    assert (group.__doc__ or "").strip().splitlines()[0].endswith(".")
    for name, about in group.model_fields.items():
        if not (isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel)):
            assert about.description, name
            assert about.description.endswith("."), name


@pytest.mark.parametrize("group", [*groups(Settings), Limit, ProjectKey])
def test_every_group_refuses_unknown_names_and_loose_types(group: type[BaseModel]) -> None:
    assert group.model_config["extra"] == "forbid"
    assert group.model_config["strict"] is True


@pytest.mark.parametrize(
    ("group", "values", "said"),
    [
        (ListenSettings, {"tls_cert_file": "a.pem"}, "go together"),
        (ListenSettings, {"tls_key_file": "a.pem"}, "go together"),
        (ListenSettings, {"max_body_bytes": "2MB", "body_budget_bytes": "1MB"}, "at least max_body_bytes"),
        (ListenSettings, {"port": 70000}, "65535"),
        (ProjectKey, {}, "exactly one"),
        (ProjectKey, {"api_key_env": "A", "api_key_file": "/a"}, "exactly one"),
        (GatewaySettings, {"base_url": "http://gateway.example"}, "https://"),
        (CatalogSettings, {"refresh_every": "2d", "max_age": "1d"}, "at most max_age"),
        (Limit, {"soft_alert": 0.0}, "greater than 0"),
        (Limit, {"monthly_spend_usd": -1.0}, "greater than 0"),
        (Limit, {"requests_per_minute": True}, "valid integer"),
    ],
)
def test_what_contradicts_itself_is_refused(
    group: type[Section], values: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        group.model_validate(values)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1234", "http://localhost", "http://[::1]:80", "https://a.example"]
)
def test_a_gateway_on_this_machine_or_behind_tls_is_taken(url: str) -> None:
    assert GatewaySettings.model_validate({"base_url": url}).base_url == url


def test_a_gateway_without_tls_elsewhere_needs_the_setting_that_says_so() -> None:
    found = GatewaySettings.model_validate({"base_url": "http://gateway.example", "unsafe_plain_http": True})
    assert found.unsafe_plain_http
