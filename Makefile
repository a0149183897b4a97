# make demo: the whole story on this machine. make test: every kind of test, small counts. make test-full: the full counts.
# make sanitize: the core's tests under the address and undefined-behaviour sanitizers (3 minutes, most of it compiling).
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
export PATH := $(CURDIR)/$(BIN):$(PATH)
SOURCES := $(wildcard ext/engine/*.pyx ext/engine/*.pxd ext/engine/*.h)

# Of the compiled modules, those that Python code imports; of the others the interface is the .pxd.
PUBLIC = $(shell grep --files-without-match "Only compiled modules use it" engine/_*.pyi)

.PHONY: setup demo test test-full lint unit sanitize gate bench clean

setup: $(VENV)/.built

$(VENV)/.packages: requirements-ci.txt
	@test -x $(BIN)/python || { echo "making $(VENV) and installing what requirements-ci.txt names (a minute or so)"; $(PYTHON) -m venv $(VENV); }
	@$(PIP) install --requirement requirements-ci.txt
	@touch $@

$(VENV)/.built: $(VENV)/.packages pyproject.toml setup.py $(SOURCES)
	@echo "compiling ext/engine"
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/python examples/demo.py
	@$(BIN)/python bench/polling.py

test: lint unit gate

test-full: lint gate setup
	@ENGINE_FULL=1 $(BIN)/python -m pytest
	@ENGINE_FULL=1 $(BIN)/python tests/sanitize/run.py

unit: setup
	@$(BIN)/python -m pytest

sanitize: setup
	@$(BIN)/python tests/sanitize/run.py

gate: setup
	@if command -v valgrind >/dev/null; then $(BIN)/engine bench gate; else \
	    echo "no valgrind here: the core's instructions are not counted (apt-get install valgrind)"; fi

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/cython-lint ext
	@$(BIN)/lint-imports
	@$(BIN)/python -m mypy.stubtest --allowlist tests/stubtest-allowlist.txt $(subst /,.,$(basename $(PUBLIC)))

bench: setup
	@$(BIN)/python bench/deploy.py

clean:
	rm -rf build dist *.egg-info $(VENV) engine/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis
