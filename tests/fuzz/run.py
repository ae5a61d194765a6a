"""`python -m tests.fuzz.run --seconds N`: coverage-guided fuzzing of the readers, corpus kept.

With atheris installed (the `fuzz` extra) each target runs under libFuzzer with the core
instrumented; without it, seeded mutations of the corpus run for the same time. New corpus entries
stay in the working folder; `--keep` merges the smallest set with the same coverage into the tree.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from tests.fuzz import mutate
from tests.fuzz.corpus import CORPUS, inputs
from tests.fuzz.targets import TARGETS

_LONGEST = 4096


def main() -> int:
    """Fuzz the chosen targets one after the other; 1 when one of them had a finding."""
    arguments = _arguments()
    names = [arguments.target] if arguments.target else sorted(TARGETS)
    share = max(1, arguments.seconds // len(names))
    guided = importlib.util.find_spec("atheris") is not None
    failed = False
    for name in names:
        sys.stdout.write(f"{name}: {share} s, {'atheris' if guided else 'seeded mutations'}\n")
        sys.stdout.flush()
        work = arguments.work / name
        work.mkdir(parents=True, exist_ok=True)
        failed |= _guided(name, work, share) if guided else _seeded(name, work, share, arguments.seed)
        if guided and arguments.keep:
            _merge(name, work)
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="time over all targets")
    parser.add_argument("--target", choices=sorted(TARGETS), help="one target only")
    parser.add_argument(
        "--work", type=Path, default=Path("var/fuzz"), help="where new inputs and findings go"
    )
    parser.add_argument("--keep", action="store_true", help="merge what was learnt into the corpus")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of the mutations")
    return parser.parse_args()


def _guided(name: str, work: Path, seconds: int) -> bool:
    started = work / "start"
    started.mkdir(exist_ok=True)
    for number, data in enumerate(inputs(name)):
        (started / f"{number:04d}").write_bytes(data)
    words = [
        sys.executable, "-m", "tests.fuzz.guided", name, str(work), str(started),
        f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-artifact_prefix={work}/finding-",
        f"-dict={CORPUS / 'tokens.dict'}", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1",
    ]  # fmt: skip
    return subprocess.run(words, check=False).returncode != 0


def _merge(name: str, work: Path) -> None:
    kept = CORPUS / name
    kept.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "tests.fuzz.guided", name, "-merge=1", f"-max_len={_LONGEST}"]
    subprocess.run([*words, str(kept), str(work)], check=True)


def _seeded(name: str, work: Path, seconds: int, seed: int) -> bool:
    random, known = Random(seed), inputs(name)
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        data = mutate.input_of(name, random, random.choice(known))[:_LONGEST]
        count += 1
        try:
            TARGETS[name](data)
        except Exception as error:
            found = work / f"finding-{count}"
            found.write_bytes(data)
            sys.stdout.write(f"{found}: {error!r}\n")
            return True
    sys.stdout.write(f"{count} inputs, seed {seed}, no finding\n")
    return False


if __name__ == "__main__":
    raise SystemExit(main())
