# make demo: the whole story on this machine. make test: every kind of test, small counts. make test-full: full counts.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup build demo test test-full lint clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py requirements-ci.txt $(wildcard ext/engine/*)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-ci.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
