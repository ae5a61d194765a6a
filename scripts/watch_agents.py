"""show what coding agents send, and what the tables say of it

Run as `python -m scripts.watch_agents`, with new versions in tests/agents/package.json to see what they
bring. The agents speak to the simulator directly, so that nothing is refused before it can be seen. What
the tables do not know stands under `not judged`: it has to be judged in proxy/tables before such an agent
works.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from proxy.core.dialects import routing
from proxy.core.errors import Unreadable
from proxy.core.headers import HeaderTable
from proxy.core.values import RawRequest, Signal
from proxy.facts import Facts, read_facts
from proxy.simulator import Options, Seen, Simulator, create_file
from scripts.coding_agents import (
    Missing,
    Place,
    Ran,
    claude_code,
    codex,
    codex_config,
    repository,
    versions,
)

_KEY = "op-watched"


async def watch(agent: str) -> tuple[Ran, tuple[Seen, ...]]:
    """Run one agent on a small task, and tell how it ended and what it sent."""
    with TemporaryDirectory(prefix="ringfence-watch-") as folder:
        home = Path(folder)
        work = repository(home / "work", remote="https://example.org/watched.git")
        async with Simulator(Options(sdk_key_forms=True)) as simulator:
            place = Place(home, work, simulator.base_url + "/v3/compat", _KEY)
            file = str(work / "hello.txt") if agent == "claude" else "hello.txt"
            simulator.scenarios.append(create_file(file, "hello\n"))
            ran = await asyncio.to_thread(_run, agent, place)
            return ran, simulator.witness.seen


def _run(agent: str, place: Place) -> Ran:
    if agent == "claude":
        # Its calls in the background are what is to be seen, too.
        chatty = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "", "DISABLE_TELEMETRY": "1"}
        return claude_code(place, "-p", "write hello.txt", "--allowedTools", "Write", settings=chatty)
    return codex(place, "write hello.txt", config=codex_config(place).replace(f"{place.url}/v1", place.url))


def report(seen: Seen, facts: Facts) -> Iterator[str]:
    """What one request held, and what the tables say, line by line."""
    yield f"{seen.method} {seen.target}  {len(seen.body)} bytes"
    headers = facts.tables.headers
    dropped = sorted({name.decode() for name, _ in seen.headers if not _crosses(headers, name)})
    yield f"  dropped headers: {', '.join(dropped)}"
    raw = RawRequest(seen.method, *_split(seen.target), seen.headers, seen.body)
    yield from (f"  not judged: {value}" for value in _unjudged(raw, headers))
    if seen.body:
        yield f"  members: {', '.join(seen.json())}"
        yield from _read(_body_alone(raw, headers), facts)


def _crosses(headers: HeaderTable, name: bytes) -> bool:
    return name.lower() in headers.request or name.lower() in headers.judged


def _unjudged(raw: RawRequest, headers: HeaderTable) -> Iterator[str]:
    for name, value in raw.headers:
        if (known := headers.judged.get(name.lower())) is not None:
            for one in value.decode("latin-1").split(","):
                if one.strip() not in known:
                    yield f"{name.decode()} {one.strip()}"


def _body_alone(raw: RawRequest, headers: HeaderTable) -> RawRequest:
    """The request without the headers that are judged apart, so that an unknown value hides nothing else."""
    return replace(raw, headers=tuple(pair for pair in raw.headers if pair[0].lower() not in headers.judged))


def _read(raw: RawRequest, facts: Facts) -> Iterator[str]:
    try:
        match = routing.match(raw)
        if match is None:
            yield "  not judged: the path"
            return
        call = routing.dialect_of(match.endpoint).read(raw, match, facts.tables)
    except Unreadable as unread:
        yield f"  not judged: {unread.detail}"
        return
    for effect in call.effects:
        if Signal.UNKNOWN_MEMBER in effect.signals:
            names = ", ".join("/".join(map(str, edit.pointer)) for edit in effect.edits)
            yield f"  not judged: members {names}"
        else:
            words = ", ".join(signal.value for signal in effect.signals)
            yield f"  {words}: {effect.feature} ({effect.path})"


def _split(target: str) -> tuple[str, str]:
    path, _, query = target.partition("?")
    return path, query


def main() -> int:
    """Watch every agent; 1 when one of them sent something that nobody judged."""
    facts, unjudged, failed = read_facts(), 0, 0
    for package, version in versions().items():
        agent = "claude" if "claude" in package else "codex"
        try:
            ran, requests = asyncio.run(watch(agent))
        except Missing as missing:
            print(missing, file=sys.stderr)
            return 1
        print(f"{package} {version}\n")
        if ran.code:
            failed += 1
            print(f"It ended with code {ran.code}:\n{ran.said}")
        for seen in requests:
            lines = list(report(seen, facts))
            unjudged += sum("not judged" in line for line in lines)
            print("\n".join(lines), end="\n\n")
    print(f"{unjudged} parts are not judged." if unjudged else "Everything that was sent has been judged.")
    return 1 if unjudged or failed else 0


if __name__ == "__main__":
    sys.exit(main())
