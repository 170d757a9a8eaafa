# On a fresh machine with Python 3.11+ and make alone, `make demo` and `make test` do all their set-up themselves.

# The interpreter that makes the virtual environment: the first of these that is new enough, or the one you name: make test PYTHON=...
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$name; exit; fi; done; echo python3)
VENV ?= .venv
# How many tests run side by side: as many as there are processors, or as many as you say: make suite WORKERS=4
WORKERS ?= auto
BIN := $(VENV)/bin
CODE := agent_sdk benchmarks examples tests

# A stamp carries the checksum of what it was made from: another lock or another Python makes the environment anew.
RUN_KEY := $(shell { $(PYTHON) -VV; cat locks/run.txt; } 2>/dev/null | cksum | cut -d ' ' -f 1)
DEV_KEY := $(shell { $(PYTHON) -VV; cat locks/run.txt locks/dev.txt; } 2>/dev/null | cksum | cut -d ' ' -f 1)
RUN := $(VENV)/.run-$(RUN_KEY)
DEV := $(VENV)/.dev-$(DEV_KEY)
APP := $(VENV)/.app-$(DEV_KEY)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet

# The many processes that tests start read what was compiled once, whatever the caller's environment says.
export PYTHONDONTWRITEBYTECODE :=

# pyright comes with its program and with Node, and is not to look for a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint types suite quick full bench bench-peers storm scale-out soak crash format lock clean

help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(RUN)  ## Plan, perform and answer real goals on this machine's own standard library
	$(BIN)/agent-sdk demo

test: lint types suite  ## Run every gate and the whole test suite: what CI runs

lint: $(APP)  ## Check style, form and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(APP)  ## Check types, with mypy and pyright
	$(BIN)/mypy $(wildcard $(CODE))
	$(BIN)/pyright --pythonpath $(BIN)/python --warnings

suite: $(APP)  ## Run the tests, and check what they cover
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m 'not full and not alone' --numprocesses $(WORKERS) --dist worksteal
	$(BIN)/coverage run -m pytest -m 'not full and alone'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/coverage report --fail-under=100 --include='agent_sdk/core/*,agent_sdk/planning/*,agent_sdk/execution/*'

quick: $(APP)  ## Check what a change most likely breaks, in a minute or two
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy $(wildcard $(CODE))
	$(BIN)/pytest -m 'not slow and not full' --exitfirst

full: lint types  ## Run everything, the tests that take minutes too
	$(BIN)/pytest -m '' -o faulthandler_timeout=3600

bench: $(APP)  ## Measure this package beside bare loops
	$(BIN)/python -m benchmarks

storm: $(APP)  ## Kill and stun workers and fell the database under 500 runs, and show what was lost: nothing
	$(BIN)/python -m benchmarks.storm $(ARGS)

scale-out: $(APP)  ## Start PostgreSQL, three workers and 200 runs here, kill a worker, and show what happened
	$(BIN)/python -m benchmarks.storm --runs 200 --kills 1 --stuns 0 --restarts 0 --step-ms 200 --spread 2 $(ARGS)

soak: $(APP)  ## Put 10,000 runs through one worker, and show that it does not grow
	$(BIN)/python -m benchmarks.soak $(ARGS)

crash: $(APP)  ## Kill a process at every append and around every effect, on SQLite and PostgreSQL
	$(BIN)/pytest -m '' tests/integration/crash_matrix -o faulthandler_timeout=3600

bench-peers: $(APP)  ## Measure durable runs beside peers, which get an environment of their own
	$(BIN)/python -m benchmarks.peers $(ARGS)

format: $(APP)  ## Put the code in form, and mend what can be mended safely
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links

lock: $(DEV)  ## Lock the newest dependencies that pyproject.toml allows
	$(COMPILE) --upgrade --group build --output-file locks/run.txt
	$(COMPILE) --upgrade --group dev --constraint locks/run.txt --output-file locks/dev.txt

clean:  ## Remove whatever make has made
	rm -rf $(VENV) .venv-peers build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "agent_sdk needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "'$(PYTHON)' cannot make a virtual environment: its modules venv and ensurepip are missing. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@test -e $@ || $(PYTHON) -m venv --clear $(VENV)
	@test -e $@ || { echo "Installing what locks/run.txt names"; $(PIP) install --require-hashes --requirement locks/run.txt; }
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUN)
	@echo "Installing what locks/dev.txt names"
	@$(PIP) install --require-hashes --requirement locks/dev.txt
	@touch $@

$(APP): $(DEV)
	@broken=$$($(BIN)/python -m pip --disable-pip-version-check check) || \
		{ echo "$$broken"; echo "The locks do not hold what pyproject.toml asks for: make lock" >&2; exit 1; }
	@touch $@
