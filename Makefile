# Every target does its own set-up in .venv. Needed: Python 3.11 or newer (with venv), make, a package index.
#   make demo ARGS="--fast --no-serve"      options are passed on
#   make demo PYTHON=/path/to/python3.12    another interpreter

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

# The first interpreter that is new enough and can really make an environment; 3.11 is the one it is tested with.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	command -v $$python >/dev/null 2>&1 || continue; \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	echo $$python; break; done)

PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet
RUNNABLE := $(VENV)/.runnable
TESTABLE := $(VENV)/.testable
BENCHABLE := $(VENV)/.benchable

export OMP_WAIT_POLICY := PASSIVE
export DO_NOT_TRACK := 1
export NO_MKDOCS_2_WARNING := 1

.PHONY: help install demo serve test check docs docs-serve bench bench-serving clean

help:
	@echo "make demo     play a year of real flights against a real server, then keep serving"
	@echo "make test     run the tests"
	@echo "make serve    run the service on http://127.0.0.1:8000"
	@echo "make check    ruff, mypy, import contracts, the documentation's site and the tests"
	@echo "make docs     build the documentation's site in build/site (docs-serve: show it while you write)"
	@echo "make bench    run the benchmarks, the short way"
	@echo "make bench-serving  serving beside MLflow, BentoML and MLServer, in full (installs them elsewhere: 2 GB)"
	@echo "make install  only set up $(VENV)"
	@echo "make clean    remove $(VENV) and caches (never data)"

install: $(RUNNABLE)

demo: $(RUNNABLE)
	@$(BIN)/incumbent demo $(ARGS)

serve: $(RUNNABLE)
	@$(BIN)/incumbent serve $(ARGS)

test: $(TESTABLE)
	$(BIN)/python -m pytest $(ARGS)

check: $(TESTABLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest $(ARGS)

docs: $(TESTABLE)
	$(BIN)/python -m service.reference
	$(BIN)/mkdocs build --strict --quiet
	@echo "Open build/site/index.html"

docs-serve: $(TESTABLE)
	$(BIN)/mkdocs serve

bench: $(BENCHABLE)
	@for bench in benchmarks/*.py benchmarks/*/__main__.py; do \
		test -e "$$bench" || { echo "There is no benchmark yet."; break; }; \
		echo "== $$bench"; $(BIN)/python "$$bench" --quick $(ARGS) || exit 1; done

bench-serving: $(TESTABLE)
	$(BIN)/python -m benchmarks.serving $(ARGS)

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
		echo "No Python 3.11 or newer with venv was found (on Debian: apt install python3 python3-venv)."; \
		echo "Or name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than Python 3.11; name another: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

# Installed again whenever pyproject.toml changed; what the tests need includes what running needs.
$(RUNNABLE): pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV): a few minutes the first time."
	@$(PIP) --editable '.[demo]'
	@touch $@

$(TESTABLE): pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) with what the tests need: a few minutes the first time."
	@$(PIP) --editable '.[test]'
	@touch $(RUNNABLE) $@

$(BENCHABLE): pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) with what the benchmarks need: a few minutes the first time."
	@$(PIP) --editable '.[bench]'
	@touch $(RUNNABLE) $(TESTABLE) $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
