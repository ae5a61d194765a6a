# Two commands do all the set-up on a machine that has only Python and make:
#
#   make demo      play the story against a simulated gateway, then keep serving (ONCE=1: end by itself)
#   make test      everything that CI runs
#
#   make soak      two hours of mixed load, then a verdict on memory and audit log (CI runs MINUTES=10)
#   make overload  three times the capacity, then a verdict on goodput and audit log
#   make bench     what the proxy costs beside a bare pass-through (12 minutes), and whether its bars are met
#   make fuzz      readers and sockets under mutated input for SECONDS=60 each; guided by coverage with the
#                  fuzz extra
#
# Also: make serve, make generate (pages and files made from code), make lock (pin dependencies anew),
# make image (container), make sbom, make clean. PYTHON names the interpreter: 3.11 or later.

find_python = for name in python3 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done
PYTHON ?= $(shell $(find_python))
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
LOCK := $(BIN)/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --no-annotate --no-header
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
PYTEST_WORKERS ?= 2
MINUTES ?= 120
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help demo serve test lint types layers generated policies-tested pytest pythons soak overload bench fuzz generate lock image sbom clean

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

# -- environments ----------------------------------------------------------------------------------

$(BIN)/python:
	@[ -n '$(PYTHON)' ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Ringfence needs Python 3.11 or later. If it is there: make PYTHON=/path/to/python'; exit 1; }
	@echo 'Making the environment in $(VENV) ...'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt requirements-build.txt pyproject.toml | $(BIN)/python
	@echo 'Installing what Ringfence needs, by hash ...'
	@$(PIP) --require-hashes -r requirements-build.txt -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo 'Installing what the checks need, by hash ...'
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@

# -- running ---------------------------------------------------------------------------------------

demo: $(VENV)/.runtime
	@$(BIN)/ringfence demo $(if $(ONCE),--once)

serve: $(VENV)/.runtime
	@$(BIN)/ringfence serve

# -- checks: quick ones first, pytest and its summary last -----------------------------------------

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory lint types layers generated policies-tested
	@$(MAKE) --no-print-directory pytest

lint: $(VENV)/.dev
	@$(BIN)/ruff check .

types: $(VENV)/.dev
	@$(BIN)/mypy

layers: $(VENV)/.dev
	@$(BIN)/lint-imports --no-cache --no-logo

generated: $(VENV)/.dev
	@$(BIN)/python -m scripts.docs --check
	@for script in scripts/derive_*.py; do \
		[ ! -f "$$script" ] || $(BIN)/python -m scripts.$$(basename "$$script" .py) --check || exit 1; done

policies-tested: $(VENV)/.dev
	@$(BIN)/ringfence policy test policies

pytest: $(VENV)/.dev
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

pythons:
	@scripts/pythons.sh

soak: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS)
	@$(BIN)/python -m tests.fuzz.wire --seconds $(SECONDS)

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.run --check

overload: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.overload

# -- making ----------------------------------------------------------------------------------------

generate: $(VENV)/.dev
	@$(BIN)/python -m scripts.docs
	@$(BIN)/python -m tests.faults.page
	@$(BIN)/python -m tests.bypass.page
	@$(BIN)/python -m scripts.coverage_table

lock: $(VENV)/.dev
	@$(LOCK) --output-file requirements-build.txt requirements-build.in
	@$(LOCK) --output-file requirements.txt pyproject.toml
	@$(LOCK) --extra otel --constraint requirements.txt --output-file requirements-otel.txt pyproject.toml
	@$(LOCK) --extra dev --output-file requirements-dev.txt pyproject.toml
	@! grep -nE '://|^--' requirements*.txt

image:
	docker build --tag ringfence --tag ringfence:$(VERSION) .

sbom: $(VENV)/.runtime
	@$(BIN)/python -m scripts.sbom

clean:
	rm -rf $(VENV) .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
