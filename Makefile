# Two commands: `make demo` and `make test`. Everything lands in this folder, nothing in the system
# (except a few Debian packages, chromium among them, which `make test` installs when root and names in one line when not).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
UV_VERSION := 0.9
VENV := .venv
PYTHON := $(VENV)/bin/python
EVALKIT := $(VENV)/bin/evalkit
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
SERVE ?= 1
PORT ?= 8000

.PHONY: help setup demo docs test test-data reliability lint lock browser clean

help:
	@echo "make demo            four losses trained on made-up images, their study, its report (SERVE=0: stops there)"
	@echo "make setup           only .venv, with the command .venv/bin/evalkit"
	@echo "make test            lint, types and all tests"
	@echo "make test-data       only the tests on the shared data folder; fails without it"
	@echo "make reliability     long figures: coverage of the intervals by simulation (docs/statistics.md)"
	@echo "make docs            the documentation as a site in build/docs, warnings as errors"
	@echo "make lock            resolve requirements.lock anew"

setup: $(VENV)/.complete

$(VENV)/.complete: requirements.lock pyproject.toml | uv
	@echo "Setting up $(VENV) (about 6 GB of packages, most of it PyTorch) ..."
	@$(UV) venv --quiet --clear --python 3.11 $(VENV) 2>/dev/null || $(UV) venv --quiet --clear $(VENV)
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: uv
uv:
	@if [ ! -x "$(UV)" ] && ! command -v uv >/dev/null; then \
	  python3 -m pip install --quiet --disable-pip-version-check --target .uv "uv>=$(UV_VERSION)" 2>/dev/null \
	  || { python3 -m venv .uv/venv && .uv/venv/bin/pip install --quiet "uv>=$(UV_VERSION)" \
	       && mkdir -p .uv/bin && ln -sf ../venv/bin/uv .uv/bin/uv; } \
	  || { echo "uv could not be fetched: install pip first (sudo apt-get install python3-pip python3-venv)."; exit 1; }; fi

demo: setup
	@$(EVALKIT) demo --folder demo --port $(PORT) $(if $(filter 0,$(SERVE)),--no-serve,--serve)

lint: setup
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

TOOLS := chromium fonts-dejavu-core xvfb nginx-light

browser:
	@{ command -v chromium && command -v Xvfb && { command -v nginx || [ -x /usr/sbin/nginx ]; }; } >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TOOLS) >/dev/null; \
	  else echo "The tests of page and server need: sudo apt-get install $(TOOLS)"; exit 1; fi; }

test: lint browser
	@$(PYTHON) -m pytest -m "not reliability"

test-data: setup
	@EVALKIT_REQUIRE_SHARED_DATA=1 $(PYTHON) -m pytest -m shared_data

reliability: setup browser
	@$(PYTHON) -m pytest -m reliability

docs: setup
	@$(PYTHON) -m sphinx -q -W --keep-going -b html docs build/docs
	@echo "build/docs/index.html"

lock: | uv
	@$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --all-extras --python-version 3.11 \
	  --upgrade pyproject.toml -o requirements.lock

clean:
	@rm -rf $(VENV) .uv demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
