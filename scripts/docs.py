"""write what can be derived from the code: reference pages, the example configuration

Run as `python -m scripts.docs`. `--check` writes nothing, names what differs and exits 1 when anything does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from proxy.cli import main as ringfence
from proxy.config import Settings, read_settings
from proxy.config_text import example, flow
from proxy.core.dimensions import DIMENSIONS, GATEWAY_DIMENSIONS
from proxy.core.dimensions.base import Dimension
from proxy.core.reasons import REASONS
from proxy.environment import places
from proxy.logs import FIELDS
from proxy.metrics import Metrics
from proxy.settings import Limit, ProjectKey
from proxy.sinks import SINKS
from scripts.tree import with_tree

ROOT = Path(__file__).parent.parent
NOTE = "<!-- Made from the code by `make generate`; a test compares. Change the code, not this page. -->\n\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars within cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def configuration() -> str:
    """Every setting: what it is for, its default, and the variable that sets it."""
    text = (
        "# Settings\n\nA setting stands in `config.yaml` (`--config`, else `$RINGFENCE_CONFIG`, else"
        " `./config.yaml`) or in an environment variable, which wins. Relative paths start at the file's"
        " folder. Secrets are never written in the file: it names the environment variable or the file that"
        " holds them. `ringfence config check` reports every mistake with its place, and it and"
        " `ringfence doctor` name each variable that overrides what the file says: the container image sets"
        " some itself.\n"
    )
    defaults = read_settings(None, {}).model_dump(mode="json")
    variables = dict(places(Settings))
    top = [
        _setting((name,), variables, about.description, defaults[name])
        for name, about in Settings.model_fields.items()
        if (name,) in variables
    ]
    text += "\n## At the top\n\n" + table(("Setting", "Default", "What for", "Variable"), top)
    for name, about in Settings.model_fields.items():
        group = about.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            rows = list(_settings(group, (name,), variables, defaults[name]))
            text += f"\n## {name}\n\n{_sentence(group)}\n\n"
            text += table(("Setting", "Default", "What for", "Variable"), rows)
    values: list[tuple[str, type[BaseModel]]] = [("limits", Limit), ("gateway.projects", ProjectKey)]
    values += [(f"sinks.{kind.name}", kind.Settings) for kind in SINKS if kind.Settings.model_fields]
    for where, inner in values:
        text += f"\n## A value of {where}\n\n{_sentence(inner)}\n\n"
        text += table(
            ("Setting", "Default", "What for"),
            [
                (f"`{name}`", _default(about.default), about.description or "")
                for name, about in inner.model_fields.items()
            ],
        )
    return text


def _settings(
    group: type[BaseModel],
    above: tuple[str, ...],
    variables: Mapping[tuple[str, ...], str],
    defaults: Mapping[str, Any],
) -> Iterator[tuple[str, str, str, str]]:
    for name, about in group.model_fields.items():
        inner = about.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _settings(inner, (*above, name), variables, defaults[name])
        else:
            yield _setting((*above, name), variables, about.description, defaults[name])


def _setting(
    place: tuple[str, ...], variables: Mapping[tuple[str, ...], str], description: str | None, default: Any
) -> tuple[str, str, str, str]:
    return f"`{'.'.join(place)}`", _default(default), description or "", f"`{variables[place]}`"


def _default(value: Any) -> str:
    return "" if value is None else f"`{flow(str(value) if isinstance(value, Path) else value)}`"


def _sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def reasons() -> str:
    """Every reason code: status, meaning, advice, and whether the same request may succeed later."""
    rows = [
        (f"`{code}`", str(each.status or ""), each.meaning, each.advice, "yes" if each.retry else "no")
        for code, each in sorted(REASONS.items())
    ]
    return (
        "# Reason codes\n\nEvery refusal, record and metric names exactly one of these. A code without a"
        " status stands in records only. *Later* says whether the very same request may succeed without"
        " anybody changing anything.\n\n" + table(("Code", "Status", "Meaning", "What to do", "Later"), rows)
    )


def dimensions() -> str:
    """Every dimension: what a policy may ask, and what an attestation may claim."""
    text = (
        "# Dimensions of posture\n\nWhat a policy may require. A claim that is missing, or cannot be"
        " understood, is unknown, and unknown never meets a requirement.\n"
    )
    for heading, members in (("Of a route", DIMENSIONS), ("Of the gateway", GATEWAY_DIMENSIONS)):
        text += f"\n## {heading}\n" + "".join(map(_dimension, members))
    return text


def _dimension(each: Dimension) -> str:
    text = f"\n### {each.name}\n\n{each.asks}"
    text += "".join(f"\n\n{paragraph}" for paragraph in _paragraphs(type(each).__doc__))
    if each.examples:
        text += f"\n\nAsked, strict to lax: {', '.join(f'`{flow(value)}`' for value in each.examples)}."
    if each.attestable:
        rows = [(f"`{claim.word}`", claim.meaning) for claim in each.attestable]
        text += "\n\n" + table(("An attestation may claim", "Which says"), rows)
    return text.rstrip("\n") + "\n"


def _paragraphs(doc: str | None) -> Iterator[str]:
    for paragraph in (doc or "").strip().split("\n\n"):
        yield " ".join(line.strip() for line in paragraph.splitlines())


def commands() -> str:
    """Every command with its help, as the command line prints it."""
    text = "# Commands\n\n" + "".join(f"{paragraph}\n\n" for paragraph in _paragraphs(ringfence.help))
    return text + "\n".join(_commands(ringfence, None, "ringfence"))


def _commands(command: click.Command, above: click.Context | None, name: str) -> Iterator[str]:
    at = click.Context(
        command,
        info_name=name,
        parent=above,
        max_content_width=100,
        terminal_width=100,
        help_option_names=["-h", "--help"],
    )
    if above is not None:
        yield f"## {at.command_path}\n\n```text\n{command.get_help(at)}\n```\n"
    if isinstance(command, click.Group):
        for inner in command.list_commands(at):
            found = command.get_command(at, inner)
            if found is not None and not found.hidden:
                yield from _commands(found, at, inner)


def observation() -> str:
    """Every metric and every field of a log line."""
    metrics = Metrics()
    rows = [
        (f"`{each.name}_total`", "counter", _labels(each.labels), each.help) for each in metrics.counters()
    ]
    rows += [(f"`{each.name}`", "gauge", "", each.help) for each in metrics.gauges()]
    rows += [
        (f"`{each.name}`", "histogram", _labels(each.labels), each.help) for each in metrics.histograms()
    ]
    fields = [(f"`{name}`", meaning) for name, meaning in sorted(FIELDS.items())]
    return (
        "# Metrics and log lines\n\n## Metrics\n\nAt `/metrics` of the admin port. A label takes words from a"
        " fixed list; anything else counts as `other`.\n\n"
        + table(("Metric", "Kind", "Labels", "What it says"), rows)
        + "\n## Log lines\n\nJSON on standard error, one object per line: `time`, `level`, `event`, and"
        " these fields. Nothing else is ever logged, and never what a client sent.\n\n"
        + table(("Field", "What it says"), fields)
    )


def _labels(labels: Sequence[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def _page(make: Callable[[], str]) -> Callable[[], str]:
    return lambda: NOTE + make()


PAGES: Mapping[str, Callable[[], str]] = {
    "config.example.yaml": lambda: example(Settings, read_settings(None, {})),
    "docs/architecture.md": lambda: with_tree((ROOT / "docs/architecture.md").read_text(encoding="utf-8")),
    "docs/reference/commands.md": _page(commands),
    "docs/reference/config.md": _page(configuration),
    "docs/reference/dimensions.md": _page(dimensions),
    "docs/reference/observation.md": _page(observation),
    "docs/reference/reasons.md": _page(reasons),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write every file, or with `--check` tell which differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    check = parser.parse_args(arguments).check
    differing = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        differing.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in differing:
        print(f"{name} {'is not what the code says: run `make generate`' if check else 'written'}")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
