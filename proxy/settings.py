"""the groups of settings, each with its defaults and one sentence per setting

`proxy/config.py` reads them; `config.example.yaml` and the reference page are generated from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from proxy.spellings import BaseUrl, Duration, FileName, FilePath, Host, Network, Several, Size, Variable

KIB, MB = 1024, 1000**2
MINUTE, HOUR = 60.0, 3600.0

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A group of settings: strict about types, and an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class ListenSettings(Section):
    """Where clients connect, and how much they may send."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface.")
    port: Port = Field(8080, description="Port to listen on; 0 takes any free one.")
    tls_cert_file: FilePath | None = Field(None, description="Certificate chain in PEM; turns TLS on.")
    tls_key_file: FilePath | None = Field(None, description="Private key of the certificate in PEM.")
    trusted_proxies: Several[Network] = Field(
        (), description="Networks of reverse proxies whose X-Forwarded-For is believed."
    )
    hosts: Several[Host] = Field((), description="Host names that clients may ask for; empty for any.")
    max_header_bytes: Size = Field(32 * KIB, description="Longest request line or header field.")
    max_headers: Count = Field(100, description="Most header fields of a request.")
    max_body_bytes: Size = Field(50 * MB, description="Largest request body.")
    body_budget_bytes: Size = Field(
        512 * MB, description="Bodies held in memory at once; above it, new requests get 503."
    )
    header_deadline: Duration = Field(15.0, description="Time in which a request head must have come.")
    body_deadline: Duration = Field(60.0, description="Time in which a request body must have come.")
    answer_deadline: Duration = Field(
        120.0, description="Time in which a client has to take something of its answer; then it is cut."
    )
    max_connections: Count = Field(4096, description="Open client connections; above it, new ones get 503.")

    max_waiting: Count = Field(
        512,
        description="Requests that may wait to be judged and recorded; above it, new ones get 503,"
        " and a quarter may wait until nobody had to be refused for a second.",
    )

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together: set both or neither")
        if self.max_body_bytes > self.body_budget_bytes:
            raise ValueError(
                "body_budget_bytes must be at least max_body_bytes, or no large body is ever taken"
            )
        return self


class AdminSettings(Section):
    """Health, readiness and metrics; never reachable through the client port."""

    host: str = Field("127.0.0.1", description="Address of the admin port; it has no access control.")
    port: Port = Field(9090, description="Admin port; 0 takes any free one.")


class ProjectKey(Section):
    """The gateway key of one project."""

    api_key_env: Variable | None = Field(None, description="Environment variable that holds the key.")
    api_key_file: FilePath | None = Field(None, description="File that holds the key (mode 0600).")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.api_key_env is None) == (self.api_key_file is None):
            raise ValueError("name the key by exactly one of api_key_env and api_key_file")
        return self


class GatewaySettings(Section):
    """The Opper gateway, and the key that each project uses there."""

    base_url: BaseUrl = Field("https://api.opper.ai", description="The gateway.")
    api_key_env: Variable | None = Field(
        "OPPER_API_KEY", description="Variable with the key of projects that have none of their own."
    )
    api_key_file: FilePath | None = Field(None, description="File with that key (mode 0600) instead.")
    projects: dict[str, ProjectKey] = Field({}, description="Gateway key per project.")
    connect_timeout: Duration = Field(5.0, description="Longest wait for a connection.")
    first_byte_timeout: Duration = Field(
        10 * MINUTE, description="Longest wait for the first byte of an answer."
    )
    between_events_timeout: Duration = Field(2 * MINUTE, description="Longest silence within an answer.")
    ca_file: FileName | None = Field(
        None, description="Certificate authorities to trust, in PEM, not the system's."
    )
    max_connections: Count = Field(1024, description="Open connections to the gateway.")
    allow_private_addresses: bool = Field(
        False, description="Accept a gateway whose name resolves to a private address."
    )
    unsafe_plain_http: bool = Field(
        False, description="Accept an http:// gateway beyond this machine; prompts travel unencrypted."
    )

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        url = urlsplit(self.base_url)
        local = url.hostname in ("localhost", "127.0.0.1", "::1")
        if url.scheme == "http" and not local and not self.unsafe_plain_http:
            raise ValueError("base_url must begin with https:// unless the gateway is on this machine")
        return self


class CatalogSettings(Section):
    """What is known of routes, and how old it may get."""

    refresh_every: Duration = Field(HOUR, description="How often the catalogue is fetched from the gateway.")
    max_age: Duration = Field(
        24 * HOUR, description="Age from which all that the catalogue claims counts as unknown."
    )

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.refresh_every > self.max_age:
            raise ValueError("refresh_every must be at most max_age, or the catalogue is stale in between")
        return self


class PolicySettings(Section):
    """The policies in force."""

    paths: Several[FilePath] = Field(
        (Path("policies"),),
        validate_default=True,
        description="Policy files, or folders of them (files named *_test.yaml are suites).",
    )


class AttestationSettings(Section):
    """What only a contract can say."""

    file: FilePath = Field(
        Path("attestations.yaml"),
        validate_default=True,
        description="Attestations; a missing file means none.",
    )


class KeySettings(Section):
    """Caller keys, of which only keyed hashes are stored."""

    file: FilePath | None = Field(None, description="Key file; by default keys.json in data_dir.")
    pepper_file: FilePath | None = Field(
        None,
        description="Secret under which keys are hashed, made on first use; by default pepper in data_dir.",
    )
    pepper_env: Variable | None = Field(None, description="Environment variable with that secret instead.")


class LogSettings(Section):
    """Log lines: JSON on standard error, never with content."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level to log."
    )


class TraceSettings(Section):
    """OpenTelemetry traces: a span per request, without content; needs the extra `otel`."""

    endpoint: BaseUrl | None = Field(
        None,
        description="Collector that takes OTLP over HTTP, such as http://localhost:4318/v1/traces;"
        " null sends nothing.",
    )
    share: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="Share of the traces that begin here which is sent; of others, the client decides."
    )


class Limit(Section):
    """What one key, project or organisation may use; null is no limit."""

    requests_per_minute: Count | None = Field(None, description="Requests in a minute.")
    tokens_per_minute: Count | None = Field(
        None,
        description="Input and output tokens in a minute, from the usage that answers report at their end:"
        " one that its client leaves before that reports none.",
    )
    concurrent_streams: Count | None = Field(None, description="Streamed answers at the same time.")
    monthly_spend_usd: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Spend in a calendar month (UTC), from the cost that answers report at their end."
    )
    soft_alert: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="Share of the monthly spend at which a warning is logged and counted."
    )
