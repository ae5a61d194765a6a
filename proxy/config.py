"""config.yaml + environment -> Settings

Every setting can be given as `RINGFENCE_<GROUP>__<NAME>` too, which wins over the file. Nothing that is
written wrongly is skipped: unknown names, wrong types and secrets in the file are all reported, at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from proxy import environment
from proxy.core import strict_yaml
from proxy.core.errors import Mistake, Mistakes
from proxy.core.nearest import did_you_mean
from proxy.journal.settings import JournalSettings
from proxy.private_files import secret_from_environment, secret_from_file
from proxy.settings import (
    AdminSettings,
    AttestationSettings,
    CatalogSettings,
    Count,
    GatewaySettings,
    KeySettings,
    Limit,
    ListenSettings,
    LogSettings,
    PolicySettings,
    ProjectKey,
    Section,
    TraceSettings,
)
from proxy.sinks import SINKS
from proxy.spellings import Duration, FilePath

CONFIG_VARIABLE = "RINGFENCE_CONFIG"
Scope = Annotated[str, Field(pattern=r"^(key|project|organisation):[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

_SECRET_WORDS = ("key", "secret", "token", "password", "pepper", "credential")
_MESSAGES = {
    "bool_type": "must be true or false",
    "dict_type": "must be a map",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "missing": "is missing",
    "model_type": "must be a map of settings",
    "string_pattern_mismatch": "must be written as key:ID, project:NAME or organisation:NAME",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}


class SinkChoice(Section):
    """Where audit records are mirrored to; null is nowhere."""

    def wanted(self) -> dict[str, Section]:
        """The settings of every sink that is set, by the sink's name."""
        named = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: settings for name, settings in named if settings is not None}


def _sink_field(settings: type[Section]) -> FieldInfo:
    return FieldInfo(
        default=None,
        description=(settings.__doc__ or "").strip().splitlines()[0],
        examples=[settings.model_construct().model_dump(mode="json")],
    )


if TYPE_CHECKING:
    Sinks = SinkChoice
else:
    # One field for each member of SINKS, so that a new sink has settings without an edit here.
    Sinks = create_model(
        "Sinks",
        __base__=SinkChoice,
        __doc__=SinkChoice.__doc__,
        **{kind.name: (kind.Settings | None, _sink_field(kind.Settings)) for kind in SINKS},
    )


class Settings(Section):
    """Everything that an operator can set."""

    data_dir: FilePath = Field(
        Path("var"),
        validate_default=True,
        description="Folder for keys, catalogue and audit log, on a local disk.",
    )
    listen: ListenSettings = Field(default_factory=ListenSettings)
    admin: AdminSettings = Field(default_factory=AdminSettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    policies: PolicySettings = Field(default_factory=PolicySettings)
    attestations: AttestationSettings = Field(default_factory=AttestationSettings)
    keys: KeySettings = Field(default_factory=KeySettings)
    audit: JournalSettings = Field(default_factory=JournalSettings)
    sinks: Sinks = Field(default_factory=Sinks)
    logs: LogSettings = Field(default_factory=LogSettings)
    traces: TraceSettings = Field(default_factory=TraceSettings)
    limits: dict[Scope, Limit] = Field(
        {},
        description="What a key:ID, project:NAME or organisation:NAME may use.",
        examples=[{"project:web": {"requests_per_minute": 600, "monthly_spend_usd": 500.0}}],
    )
    workers: Count = Field(1, description="Worker processes; one per core is plenty.")
    drain_deadline: Duration = Field(30.0, description="Time that open answers get to end after SIGTERM.")
    reload_every: Duration = Field(
        0.5, description="How often policies, attestations and keys are looked at for changes."
    )

    @property
    def keys_file(self) -> Path:
        """Where caller keys are stored."""
        return self.keys.file or self.data_dir / "keys.json"

    @property
    def pepper_file(self) -> Path:
        """Where the secret lies under which caller keys are hashed."""
        return self.keys.pepper_file or self.data_dir / "pepper"

    @property
    def unsafe(self) -> tuple[str, ...]:
        """Dotted names of the settings in force that weaken the promise; they belong into the audit log."""
        return tuple(_unsafe(self, ""))

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.listen.port and self.listen.port == self.admin.port:
            raise ValueError("listen.port and admin.port must differ")
        return self


@dataclass(frozen=True, slots=True)
class GatewayKeys:
    """The gateway key of each project; never printed."""

    default: str | None = field(repr=False)
    projects: Mapping[str, str] = field(repr=False)

    def of(self, project: str) -> str | None:
        """The key that a project's requests go out with; None when it has none and there is no default."""
        return self.projects.get(project, self.default)


def find_config(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read: the one given, the one that RINGFENCE_CONFIG names, ./config.yaml, or none."""
    if given is not None:
        return given
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    here = Path("config.yaml")
    return here if here.is_file() else None


def read_settings(path: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a file (None: the defaults) and the environment (None: that of this program).

    Relative paths start at the file's folder. Raises `Mistakes` with every mistake that was found.
    """
    document = _document(path)
    written = document.data if document.data is not None else {}
    if not isinstance(written, dict):
        raise Mistakes([document.mistake((), "must hold settings such as `listen: {port: 8080}`")])
    variables = environment.read(Settings, os.environ if environ is None else environ)
    base = path.parent if path is not None else Path()
    mistakes = list(variables.mistakes)
    try:
        settings = Settings.model_validate(
            _with_every_group(environment.overlay(written, variables)), context={"base": base}
        )
    except ValidationError as error:
        mistakes += [_mistake(each, document, variables) for each in error.errors()]
    if mistakes:
        raise Mistakes(mistakes)
    return settings


def read_gateway_keys(settings: GatewaySettings, environ: Mapping[str, str] | None = None) -> GatewayKeys:
    """Every gateway key that the settings refer to. Raises `Mistakes` when one cannot be had.

    Without keys for projects, the default one must be there; with them, it may be missing.
    """
    variables = os.environ if environ is None else environ
    mistakes: list[Mistake] = []
    projects: dict[str, str] = {}
    for project, reference in settings.projects.items():
        try:
            projects[project] = _gateway_key(reference, variables)
        except Mistake as mistake:
            mistakes.append(Mistake(f"gateway.projects.{project}: {mistake}"))
    default: str | None = None
    try:
        default = _gateway_key(settings, variables)
    except Mistake as mistake:
        if not projects or settings.api_key_file is not None:
            mistakes.append(Mistake(f"gateway: {mistake}"))
    if mistakes:
        raise Mistakes(mistakes)
    return GatewayKeys(default, projects)


def _gateway_key(reference: ProjectKey | GatewaySettings, environ: Mapping[str, str]) -> str:
    if reference.api_key_file is not None:
        return secret_from_file(reference.api_key_file).decode()
    if reference.api_key_env is None:
        raise Mistake("there is no key; name one by api_key_env or api_key_file")
    return secret_from_environment(reference.api_key_env, environ).decode()


def _document(path: Path | None) -> strict_yaml.Document:
    if path is None:
        return strict_yaml.Document({}, {}, {}, "defaults")
    try:
        return strict_yaml.load(path.read_bytes(), str(path))
    except OSError as error:
        raise Mistakes([Mistake(f"{path} cannot be read: {error.strerror}")]) from error


def _with_every_group(data: dict[str, Any]) -> dict[str, Any]:
    # Defaults of a group that is not written are checked as if it were, so that its paths start at the file.
    for name in _groups():
        if data.get(name) is None:
            data[name] = {}
    return data


def _groups() -> Iterator[str]:
    for name, about in Settings.model_fields.items():
        if isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel):
            yield name


def _mistake(
    error: ErrorDetails, document: strict_yaml.Document, variables: environment.Variables
) -> Mistake:
    at = tuple(error["loc"])
    variable = next((name for place, name in variables.names.items() if at[: len(place)] == place), None)
    unknown = error["type"] == "extra_forbidden"
    message = _unknown(at) if unknown else f"{_dotted(at)}{_said(error)}"
    if variable is not None:
        return Mistake(f"environment variable {variable}: {message}")
    return document.mistake(at, message, at_key=unknown or at[-1:] == ("[key]",))


def _said(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return _MESSAGES.get(error["type"]) or error["msg"][:1].lower() + error["msg"][1:]


def _unknown(at: Sequence[str | int]) -> str:
    name = str(at[-1])
    siblings = _names_at(at[:-1])
    references = [each for each in siblings if each in (f"{name}_env", f"{name}_file")]
    if references or (name not in siblings and _is_secret(name)):
        instead = " or ".join(references or [each for each in siblings if each.endswith(("_env", "_file"))])
        return (
            f"{_dotted(at)}secrets are not written in this file; put it into an environment variable or a"
            f" file of its own and name that{f' as {instead}' if instead else ''}"
        )
    return f"{_dotted(at)}no setting has this name{did_you_mean(name, siblings)}"


def _is_secret(name: str) -> bool:
    return any(name == word or name.endswith(f"_{word}") for word in _SECRET_WORDS)


def _names_at(at: Sequence[str | int]) -> list[str]:
    model: Any = Settings
    for name in at:
        if isinstance(model, type) and issubclass(model, BaseModel):
            about = model.model_fields.get(str(name))
            model = about.annotation if about is not None else None
        elif get_args(model):
            model = get_args(model)[-1]
        if get_origin(model) in (Union, UnionType):
            model = next(each for each in get_args(model) if each is not type(None))
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _dotted(at: Sequence[str | int]) -> str:
    named = ".".join(str(part) for part in at if part != "[key]")
    return f"{named}: " if named else ""


def _unsafe(section: BaseModel, above: str) -> Iterator[str]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _unsafe(value, f"{above}{name}.")
        elif name.startswith("unsafe_") and value:
            yield above + name
