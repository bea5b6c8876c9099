# PolicyHub: `make run` starts it, `make help` lists the rest.

PYTHON ?= python3
BIN := .venv/bin
CODE := accounts alerts api audit dashboard gateway policies policyhub retention usage
TEMPLATES := $(wildcard templates) $(wildcard */templates)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Python compiles what it imports; compiling everything takes most of the time.
INSTALL := install --no-compile --no-deps --require-hashes

# Each of the many processes would compile all it imports, at every start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
FAULTS ?= short
FUZZ ?= 100000
.PHONY: help run install test faults fuzz bench browser check fmt lock clean

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

run: .venv/runtime-installed ## Start everything on http://127.0.0.1:8000 (PORT=…)
	$(BIN)/python manage.py up

install: .venv/dev-installed ## Install what the checks and tests need

test: .venv/dev-installed .venv/node-installed browser ## Run all tests, on servers of their own
	$(BIN)/python -m pytest -n 2

fuzz: .venv/dev-installed ## Send a running server what it does not expect (FUZZ=100000)
	$(BIN)/python -m tests.live.fuzz $(FUZZ)

bench: .venv/dev-installed ## Measure the ledger, write docs/performance.md (BENCH=quick)
	BENCH=$(BENCH) $(BIN)/python -m tests.bench

faults: .venv/dev-installed ## Kill, crash and cut what runs, and count (FAULTS=long)
	FAULTS=$(FAULTS) $(BIN)/python -m tests.faults

browser:
	@.ci/browser

check: .venv/dev-installed ## Check style, types, layers, migrations, settings, lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	.ci/production
	$(BIN)/djlint --quiet --lint $(TEMPLATES)
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(CODE)
	.ci/lock --check

fmt: .venv/dev-installed ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: .venv/dev-installed ## Renew requirements/*.lock from requirements/*.in
	.ci/lock

clean: ## Remove the virtual environment (not the state directory)
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("PolicyHub needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "PolicyHub needs venv: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/runtime-installed: requirements/runtime.lock | .venv/bin/python
	@echo "Installing what PolicyHub needs into .venv"
	@$(PIP) $(INSTALL) -r requirements/runtime.lock
	@touch $@

.venv/dev-installed: requirements/dev.lock | .venv/bin/python
	@echo "Installing what the checks and tests need into .venv"
	@$(PIP) $(INSTALL) -r requirements/dev.lock
	@touch $@ .venv/runtime-installed

# Published JavaScript that the tests run; Node itself is a package of dev.lock.
.venv/node-installed: tests/node/package-lock.json | .venv/dev-installed
	@echo "Installing the JavaScript clients that the tests run into tests/node"
	@cd tests/node && npm_config_cache="$(CURDIR)/.venv/npm-cache" \
		"$(CURDIR)/$(BIN)/npm" ci --loglevel=error
	@touch $@
