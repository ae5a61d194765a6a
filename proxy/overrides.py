"""environment variables that win over a file which says otherwise

A variable may come from an image, a unit or a shell that whoever wrote the file has never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from proxy.config import Settings, read_settings
from proxy.core.errors import Mistakes
from proxy.environment import places
from proxy.settings import Section


def overrides(path: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each such variable and the setting's dotted name, in the settings' order.

    The file and the environment together must have been read without a mistake before.
    """
    if path is None:
        return
    together = read_settings(path, environ)
    for place, variable in places(Settings):
        if variable in environ and _differs(path, environ, place, variable, together):
            yield variable, ".".join(place)


def _differs(
    path: Path, environ: Mapping[str, str], place: tuple[str, ...], variable: str, together: Settings
) -> bool:
    try:
        alone = read_settings(path, {name: text for name, text in environ.items() if name != variable})
    except Mistakes:
        # The file says something that could not be taken by itself.
        return True
    return _is_written(alone, place) and _at(alone, place) != _at(together, place)


def _at(settings: object, place: tuple[str, ...]) -> object:
    for name in place:
        settings = getattr(settings, name)
    return settings


def _is_written(settings: Settings, place: tuple[str, ...]) -> bool:
    section = _at(settings, place[:-1])
    return isinstance(section, Section) and place[-1] in section.model_fields_set
