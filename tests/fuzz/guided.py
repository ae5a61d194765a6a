"""One target under atheris: `python -m tests.fuzz.guided TARGET [libFuzzer's arguments]`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["proxy.core", "proxy.plain", "proxy.chunks", "proxy.framing"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Hand the target to libFuzzer, which never returns."""
    name, *rest = sys.argv[1:]
    # To merge a corpus libFuzzer starts its first argument again, through a shell.
    atheris.Setup([f"{sys.executable} -m tests.fuzz.guided {name}", *rest], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
