# Everything a fresh machine needs: Python >= 3.11, make, and a package index.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test test-crash test-long test-browser test-servers servers servers-stop quick check format bench bench-recorded bench-profiling bench-ppo bench-policies docs screenshots lock ui clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

install: $(READY)  ## set everything up in .venv

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ATLAS needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@# Debian ships venv apart from Python; as root we can bring it ourselves.
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); \
	  echo "installing python3-venv, which this machine lacks"; \
	  apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); } || \
	  { echo "cannot make a virtual environment; as root: apt-get install python3-venv"; exit 1; }

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing ATLAS into $(VENV) (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $(READY)

demo: $(READY)  ## profile a pool, route a backlog, look at what came out: no keys, some minutes
	@$(BIN)/atlas demo

test: $(READY)  ## every test but those of test-crash, test-long and test-servers; some minutes
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -q -m "not crash and not long and not servers"

test-crash: $(READY)  ## real runs killed with SIGKILL at every fault point and at random moments
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -q -m crash tests

test-long: $(READY)  ## whole trainings and thousands of simulations
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -q -m "long and not crash" tests

test-browser: $(READY)  ## pages in a headless Chromium; part of `make test` where there is one
	$(BIN)/python -m pytest -q tests/browser

quick: $(READY)  ## the tests that take seconds
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -q -m "not slow and not crash and not long and not flow and not servers"

test-servers: $(READY)  ## ledger, Prefect and MLflow on a real PostgreSQL, with a real worker
	@$(BIN)/python -m tests.servers.postgres
	ATLAS_TEST_SERVERS=required $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -q tests/servers

SERVERS ?= .servers
PORT_POSTGRES ?= 5433
PORT_PREFECT ?= 4200
PORT_MLFLOW ?= 5000

servers: $(READY)  ## PostgreSQL, a Prefect server and an MLflow server on it, kept in .servers
	@$(BIN)/python -m tests.servers.stack up --folder $(SERVERS) \
	  --postgres $(PORT_POSTGRES) --prefect $(PORT_PREFECT) --mlflow $(PORT_MLFLOW)

servers-stop:  ## stop what `make servers` started; nothing is deleted
	@$(BIN)/python -m tests.servers.stack down --folder $(SERVERS)

check: $(READY)  ## lint, format, types, layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## overhead against a bare loop, memory against backlog size
	$(BIN)/python -m benchmarks.batch_overhead

bench-recorded: $(READY)  ## every router on the recorded tables in ../shared/data
	$(BIN)/python -m benchmarks.bench_recorded

bench-profiling: $(READY)  ## routed accuracy from few cells, on the same tables
	$(BIN)/python -m benchmarks.bench_profiling

bench-ppo: $(READY)  ## both estimators on a toy with a known optimum, and against Stable-Baselines3
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench]"
	$(BIN)/python -m benchmarks.toy
	$(BIN)/python -m benchmarks.ppo_throughput

docs: $(READY)  ## regenerate what is generated
	$(BIN)/python -m warehouse.tables > docs/tables.md

screenshots: $(READY)  ## docs/pictures, from generated data, in a headless Chromium; some minutes
	$(BIN)/python -m tests.browser.draw_pictures

lock: $(READY)  ## write constraints.txt from what is installed
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/\+cpu//' > constraints.txt

ui: $(READY)  ## MLflow on http://127.0.0.1:5000
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db --host 127.0.0.1 --port 5000

bench-policies: $(READY)  ## multi-step policies on the same tables, into docs/policies.md
	$(BIN)/python -m benchmarks.bench_policies

clean:  ## remove what was made, but never data
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
