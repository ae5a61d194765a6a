"""the bodies that google-genai sends, put together from its converters: it has no classes for them

The SDK flattens its `config` argument: members that its converters set on the parent become
members of the body, the others become members of `generationConfig`.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from google.genai import models, types
from typing_extensions import TypedDict

from scripts.sdk_types import members

_SET = re.compile(r"setv\(\s*(\w+),\s*\[([^\]]+)\]")
_CONVERTERS = ("mldev", "vertex")


def _hints(known: type) -> dict[str, Any]:
    return {name: hints[0] for name, hints in members(known).items()}


def _converted(name: str) -> tuple[set[str], set[str]]:
    """The names that one converter pair sets on the body, and on `generationConfig`."""
    parent: set[str] = set()
    own: set[str] = set()
    for suffix in _CONVERTERS:
        source = inspect.getsource(getattr(models, f"_{name}_to_{suffix}"))
        for target, path in _SET.findall(source):
            keys = [key.strip(" '\"\n") for key in path.split(",")]
            if keys[0].startswith("_") or "[" in keys[0]:
                continue
            (parent if target == "parent_object" else own).add(keys[0])
    return parent, own


_config = _hints(types.GenerateContentConfig)
_parent, _own = _converted("GenerateContentConfig")
_REPLACED = {
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "toolConfig": types.ToolConfig,
    "safetySettings": list[types.SafetySetting],
}
"""The SDK's own arguments take callables and plain text here and convert them before they leave."""

# mypy wants literal names, and these are not known before the SDK is asked.
_body: Any = TypedDict

_generation_config = _body(
    "GenerationConfigBody",
    {**{name: _config.get(name, Any) for name in sorted(_own)}, **_hints(types.GenerationConfig)},
)
GenerateContentBody = _body(
    "GenerateContentBody",
    {
        **{name: _REPLACED.get(name, _config.get(name, Any)) for name in sorted(_parent)},
        "contents": list[types.Content],
        "generationConfig": _generation_config,
    },
)
EmbedContentBody: Any = _body(
    "EmbedContentBody",
    {
        "model": str,
        "content": types.Content,
        "taskType": str,
        "title": str,
        "outputDimensionality": int,
        "embedContentConfig": _body("EmbedContentConfigBody", _hints(types.EmbedContentConfig)),
    },
)
BatchEmbedContentsBody = _body(
    "BatchEmbedContentsBody", {"requests": list.__class_getitem__(EmbedContentBody)}
)
