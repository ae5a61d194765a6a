#!/bin/sh
# Runs the unit tests on every supported Python that is installed beside the main one.
# A version that is not there is skipped, loudly. Output is shown only where something fails.
set -u
cd "$(dirname "$0")/.." || exit 1

find_python() {
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        "$candidate" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' "$1" \
            2>/dev/null && { echo "$candidate"; return; }
    done
}

failed=0
main=$("${VENV:-.venv}/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
for version in 3.11 3.12 3.13; do
    [ "$version" = "$main" ] && continue
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        echo "SKIPPED: Python $version is not installed, so nothing was tested on it."
        continue
    fi
    log=$(mktemp)
    if make --no-print-directory PYTHON="$python" VENV=".venv-$version" ".venv-$version/.dev" >"$log" 2>&1 &&
        ".venv-$version/bin/python" -m pytest -q -p no:cacheprovider -n "${PYTEST_WORKERS:-2}" \
            tests/core tests/test_*.py >>"$log" 2>&1; then
        echo "Python $version: $(tail -n 1 "$log" | tr -d '=')"
    else
        cat "$log"
        echo "FAILED on Python $version, see above."
        failed=1
    fi
    rm -f "$log"
done
exit "$failed"
