"""The published score: `python -m tests.bypass.page` writes docs/reference/bypass.md, `--check` compares."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bypass.runner import Result
from tests.bypass.session import play_now

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "bypass.md"

_FAMILIES = {
    "CTL": "controls: they have to be served",
    "JSN": "JSON that readers take differently",
    "ENC": "content codings",
    "SMG": "message framing",
    "PTH": "paths and endpoints",
    "RTE": "parameters that route, keep or send on",
    "HDR": "headers and credentials",
    "MPT": "multipart bodies",
    "WSK": "upgrades",
    "RSP": "an upstream that misbehaves",
    "OWN": "surfaces that only this product has",
}
_HEAD = """\
# Ways round that were tried

Written by `python -m tests.bypass.page`; the tests compare it with what they see. Each case is sent
byte for byte over a raw socket to `ringfence serve`, with a recording server in the gateway's place.
A case is safe when its verdict holds: nothing reached the gateway that must not, by every reading of
six lenient readers; the answer's status is an expected one; every forwarded request has one intent,
durable before its first byte, and one outcome; and no key or prompt stands in logs, records or
errors. The same runner finds more than 60 leaks through a bare pass-through, so it can see.

Expected verdicts: `serve` has to work; `refuse` lets nothing through; `refuse_or_canonicalise` may
forward a request that reads in one way only; `serve_or_refuse` may not pass encoded bytes on;
`per_request` decides pipelined requests one by one; `contain` keeps a misbehaving upstream's answer
from doing harm.

"""


def page(results: Sequence[Result]) -> str:
    """The page as it should stand."""
    safe = sum(result.safe for result in results)
    lines = [_HEAD, f"**{safe} of {len(results)} cases are safe.**\n"]
    families = Counter(result.case.family for result in results)
    for family, about in _FAMILIES.items():
        lines.append(f"\n## {family}: {about} ({families[family]})\n")
        lines.append("| Case | Attempt | Expected | Came to | Safe |\n|---|---|---|---|---|")
        lines += [_line(result) for result in results if result.case.family == family]
    return "\n".join(lines) + "\n"


def _line(result: Result) -> str:
    case = result.case
    title = case.title.replace("|", "\\|").replace("<", "&lt;")
    came_to = ", then ".join(_came_to(result)) or "closed without an answer"
    safe = "yes" if result.safe else "**no**"
    return f"| {case.id} | {title} | {case.expected.verdict} | {came_to} | {safe} |"


def _came_to(result: Result) -> Iterator[str]:
    for answer in result.seen.answered.answers:
        code = answer.all(b"x-ringfence-refusal")
        if code:
            yield f"{answer.status} `{code[0].decode('ascii')}`"
        else:
            yield str(answer.status) if answer.whole else f"{answer.status}, cut off"


def main() -> int:
    """Write the page, or say whether it is what a run gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        session = play_now(Path(folder))
    text = page(session.results)
    if arguments.check:
        same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        if not same:
            sys.stderr.write(f"{PAGE} is out of date: run python -m tests.bypass.page\n")
        return int(not same)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    unsafe = [str(result) for result in session.results if not result.safe]
    sys.stderr.write("\n".join([*unsafe, f"wrote {PAGE}\n"]))
    return int(bool(unsafe))


if __name__ == "__main__":
    raise SystemExit(main())
