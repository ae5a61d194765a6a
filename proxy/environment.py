"""settings by environment variable: RINGFENCE_<GROUP>__<NAME>

A list is spelled `a,b`, a map as YAML (`{web: {api_key_file: /run/secrets/web}}`), everything else as in the
file. A variable that names no setting is an error, as a misspelt line in the file is.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator

from proxy.core import strict_yaml
from proxy.core.errors import Mistake, Mistakes
from proxy.core.nearest import did_you_mean
from proxy.core.values import Json

PREFIX = "RINGFENCE_"
NOT_SETTINGS = frozenset({"RINGFENCE_CONFIG"})
# Kubernetes sets these in every pod beside a service whose name begins with `ringfence`.
_BY_KUBERNETES = re.compile(r"RINGFENCE_(.*_)?(SERVICE_(HOST|PORT)(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")


@dataclass(frozen=True, slots=True)
class Variables:
    """What the environment sets: values and the variables' names by place, and what names no setting."""

    values: Mapping[tuple[str, ...], Json]
    names: Mapping[tuple[str, ...], str]
    mistakes: tuple[Mistake, ...]


def read(model: type[BaseModel], environ: Mapping[str, str]) -> Variables:
    """The settings among the environment's variables; values are converted to the settings' types."""
    known = {variable: place for place, variable in places(model)}
    annotations = dict(_annotated(model, ()))
    values: dict[tuple[str, ...], Json] = {}
    mistakes: list[Mistake] = []
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        place = known.get(variable)
        if place is None:
            if not _BY_KUBERNETES.fullmatch(variable):
                hint = did_you_mean(variable, known)
                mistakes.append(Mistake(f"environment variable {variable}: no setting has this name{hint}"))
            continue
        try:
            values[place] = _converted(annotations[place], text, variable)
        except Mistakes as group:
            mistakes.extend(group.found)
    names = {place: name for name, place in known.items() if place in values}
    return Variables(values, names, tuple(mistakes))


def places(model: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every setting's place and the variable that sets it, in the model's order."""
    for place, _ in _annotated(model, ()):
        yield place, PREFIX + "__".join(place).upper()


def overlay(written: Mapping[str, Json], variables: Variables) -> dict[str, Json]:
    """What the file says, with the environment's values in their places. The file's data is left alone."""
    merged: dict[str, Json] = dict(written)
    for place, value in variables.values.items():
        at: dict[str, Json] | None = merged
        for name in place[:-1]:
            at = _inner(at, name) if at is not None else None
        if at is not None:
            at[place[-1]] = value
    return merged


def _inner(outer: dict[str, Json], name: str) -> dict[str, Json] | None:
    found = outer.get(name)
    if found is not None and not isinstance(found, dict):
        # The file has something else than a group here; that is its mistake to report, not ours to cover up.
        return None
    outer[name] = copied = dict(found or {})
    return copied


def _annotated(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    hints = get_type_hints(model, include_extras=True)
    for name in model.model_fields:
        annotation = hints[name]
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _annotated(annotation, (*above, name))
        else:
            yield (*above, name), annotation


def _converted(annotation: Any, text: str, variable: str) -> Json:
    kind, spelled, nullable = _kind(annotation)
    if nullable and text in ("", "null"):
        return None
    in_yaml = kind is dict or (isinstance(kind, type) and issubclass(kind, BaseModel))
    if in_yaml or (kind is tuple and text.startswith("[")):
        return strict_yaml.load(text, variable).data
    if kind is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is bool and not spelled:
        return text == "true" if text in ("true", "false") else text
    if kind in (int, float) and not spelled and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,9})?", text):
        return int(text) if "." not in text else float(text)
    return text


def _kind(annotation: Any) -> tuple[Any, bool, bool]:
    """The type beneath; whether it has a spelling of its own (`30s`); whether null is a value of it."""
    spelled = nullable = False
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *extras = get_args(annotation)
            spelled = spelled or any(isinstance(extra, BeforeValidator) for extra in extras)
        elif origin in (Union, types.UnionType):
            members = [member for member in get_args(annotation) if member is not type(None)]
            nullable = nullable or len(members) < len(get_args(annotation))
            annotation = members[0]
        else:
            return origin or annotation, spelled, nullable
