# Everything that a developer does here.  A fresh machine needs Python 3.11 or later, and make.
#
#   make demo    set up, then run the main job: a cluster, a failover, its explanation
#   make test    set up, then run the tests, those against real servers too
#
# PYTHON=/path/to/python3.12 make venv    chooses another interpreter.

# The system's interpreter first: PostgreSQL refuses to run as root, so that parts of us run as
# another user, who may not be able to read an interpreter in root's home directory.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13) python3.11)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Arguments for pytest and for the demo: make test-unit ARGS="-k election -x"
ARGS ?=
# One worker a processor; WORKERS=0 runs the tests one after the other, in one process.
WORKERS ?= logical

# What the tests start by the hundred would be compiled anew each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv check lint format test test-unit test-servers test-slow test-fuzz test-faults check-model coverage servers lists demo bench clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 22

# Two stamps: the demo does not wait for the test tools.
$(VENV)/bin/python:
	@tools/make-venv "$(PYTHON)" $(VENV)

$(VENV)/.stamp-demo: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Regnal and what the demo needs into $(VENV) ..."
	@$(PIP) install --use-pep517 --editable '.[demo]'
	@touch $@

$(VENV)/.stamp-test: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Regnal, every extra and the test tools into $(VENV) ..."
	@$(PIP) install --use-pep517 --editable '.[all,demo,test]'
	@touch $@ $(VENV)/.stamp-demo

venv: $(VENV)/.stamp-test  ## everything that development needs, in .venv

lint: venv  ## formatting, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test-unit  ## what a commit must pass: lint and the fast tests

format: venv  ## format, and repair what ruff can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

servers: venv  ## see to the servers that the tests need (installs them when root)
	@tools/setup-test-servers $(VENV)

test: servers  ## set up everything, run all tests but the slow ones
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not faults" $(ARGS)

test-unit: venv  ## the tests that need no server
	$(BIN)/python -m pytest -n $(WORKERS) -m "not server and not slow and not faults" $(ARGS)

test-servers: servers  ## only the tests against real servers
	$(BIN)/python -m pytest -n $(WORKERS) -m "server and not slow and not faults" $(ARGS)

test-slow: servers  ## the tests that take minutes, and every property thoroughly
	$(BIN)/python -m pytest -n $(WORKERS) -m "slow or (hypothesis and not server and not faults)" --hypothesis-profile=thorough $(ARGS)

test-fuzz: venv  ## what others might write, for longer: ARGS="-k store" for a part
	$(BIN)/python -m pytest tests/fuzzing --hypothesis-profile=thorough --timeout=3600 $(ARGS)

test-faults: servers  ## real faults on hosts of their own (as root; half an hour)
	$(BIN)/python -m pytest -m faults $(ARGS)

check-model: venv  ## try everything that may happen, in small worlds (a minute each)
	$(BIN)/regnal check-model $(ARGS)

coverage: servers  ## all tests but the slow ones, measured
	$(BIN)/coverage run -m pytest -m "not slow and not faults" $(ARGS)
	$(BIN)/coverage report

lists: venv  ## write the lists that docs/ has of the program anew
	$(BIN)/python tools/write-lists

demo: $(VENV)/.stamp-demo  ## three members, a failover under load, and its story
	$(BIN)/regnal demo $(ARGS)

bench: servers  ## measure outages, request rates and footprint
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove what the tools left behind, .venv too
	rm -rf $(VENV) build dist htmlcov .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
